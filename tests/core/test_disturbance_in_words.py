from __future__ import annotations

import dataclasses

import pytest

from workbench.core.measurement import disturbance_in_words
from workbench.measure import latency


@pytest.fixture(scope="module")
def quiet() -> latency.LatencySnapshot:
    snapshot = next(latency.compare(lambda: None, lambda: None))
    return dataclasses.replace(snapshot, disturbed=0.0, settled=True)


def test_a_quiet_machine_is_not_talked_about(quiet):
    assert disturbance_in_words(quiet, 0.02) == ""


def test_what_other_programs_used_is_told(quiet):
    assert disturbance_in_words(quiet, 0.28) == "other programs used 28 % of the processor meanwhile"


def test_what_was_set_aside_is_told(quiet):
    told = disturbance_in_words(dataclasses.replace(quiet, disturbed=0.6), 0.1)
    assert told == "60 % of the comparison fell into disturbed moments and was set aside"


def test_a_comparison_that_was_never_left_alone_says_that_its_interval_allows_for_it(quiet):
    told = disturbance_in_words(dataclasses.replace(quiet, settled=False), 0.5)
    assert told.startswith("other programs used 50 %")
    assert told.endswith("the interval reaches as far as others may have moved it")


def test_a_comparison_slower_than_those_before_says_so(quiet):
    told = disturbance_in_words(dataclasses.replace(quiet, settled=False, slowed=1.83), 0.0)
    assert told.startswith("it took 1.8× as long as a moment ago")
    assert told.endswith("the interval reaches to what it was then")
