"""How long a comparison may take is the environment's to say."""

from __future__ import annotations

import pytest

from workbench.core.measurement import comparison_seconds
from workbench.errors import WorkbenchError


def test_it_takes_the_seconds_of_the_environment_and_its_own_where_there_are_none(monkeypatch):
    monkeypatch.setenv("WORKBENCH_COMPARISON_SECONDS", "0.25")
    assert comparison_seconds() == 0.25
    monkeypatch.delenv("WORKBENCH_COMPARISON_SECONDS")
    assert comparison_seconds() > 1


@pytest.mark.parametrize("told", ["0", "-1", "nan", "inf", "long"])
def test_what_is_no_time_is_refused_with_its_value(monkeypatch, told):
    monkeypatch.setenv("WORKBENCH_COMPARISON_SECONDS", told)
    with pytest.raises(WorkbenchError, match=f"WORKBENCH_COMPARISON_SECONDS must be .* above 0; it is '{told}'"):
        comparison_seconds()
