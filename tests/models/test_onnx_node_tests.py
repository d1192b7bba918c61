"""The tests of operators that come with the package onnx: each is computed right or refused in one line."""

from collections import Counter

import pytest

pytest.importorskip("onnx")
from benchmarks.onnx_operators import measure, table

LEAST_RIGHT, LEAST_RIGHT_AS_WORKLOADS = 1_549, 1_091
"""As many as there were when this was written: an operator that was imported stays imported."""


@pytest.fixture(scope="module")
def results():
    return measure()


@pytest.fixture(scope="module")
def as_workloads():
    return measure(as_workloads=True)


@pytest.mark.parametrize("outcome", ["wrong", "crashed"])
def test_no_operator_is_computed_wrong_or_fails_with_an_unrelated_error(results, outcome: str):
    assert [(each.name, each.reason) for each in results if each.outcome == outcome] == []


def test_as_many_are_right_as_ever_were(results):
    assert Counter(each.outcome for each in results)["right"] >= LEAST_RIGHT, table(results)


def test_what_is_refused_names_the_operator_or_the_type_and_says_what_to_do(results):
    refused = [each.reason for each in results if each.outcome == "refused"]
    unclear = [
        reason for reason in refused if not ("imported; " in reason and ("operator '" in reason or "values" in reason))
    ]
    assert unclear == []


def test_nor_is_one_in_the_file_of_a_workload_whose_other_inputs_are_constants(as_workloads):
    found = [(each.name, each.reason) for each in as_workloads if each.outcome in ("wrong", "crashed")]
    assert found == []
    assert Counter(each.outcome for each in as_workloads)["right"] >= LEAST_RIGHT_AS_WORKLOADS
