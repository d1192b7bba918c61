"""What Python and the compiled core call the same number has the same name in both."""

from __future__ import annotations

import pytest

from workbench import kernels
from workbench.kernels.records import ACTIVATIONS, CELLS, Dtype, Kind, Place

pytestmark = pytest.mark.skipif(kernels.unavailable() is not None, reason=str(kernels.unavailable()))


def names(enumeration):
    assert [int(member) for member in enumeration] == list(range(len(enumeration)))
    return [member.name.lower() for member in enumeration]


def test_every_enumeration_of_records_is_that_of_the_core_name_by_name():
    ours = {"Kind": names(Kind), "Dtype": names(Dtype), "Place": names(Place)}
    ours |= {"Act": list(ACTIVATIONS), "Cell": list(CELLS)}
    assert kernels.core().names() == ours
