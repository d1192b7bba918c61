from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import Cancelled, WorkloadError
from workbench.measure.accuracy import NOT_A_NUMBER, evaluate, predictions
from workbench.workload import Data


def data_of(classes: torch.Tensor, labels: torch.Tensor) -> Data:
    """Examples whose input is the logits that a model passes on."""
    return Data(torch.nn.functional.one_hot(classes, 4).float(), labels)


def identity(inputs: torch.Tensor) -> torch.Tensor:
    return inputs


def shifted(inputs: torch.Tensor) -> torch.Tensor:
    return inputs.roll(1, dims=1)


CLASSES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@given(CLASSES, st.integers(1, 64))
def test_the_last_snapshot_equals_counting_by_hand(rows, batch):
    before, after, labels = (torch.tensor(column) for column in zip(*rows, strict=True))
    *_, last = evaluate(before, identity, data_of(after, labels), batch=batch)
    assert last.final
    assert last.baseline.value == pytest.approx(float((before == labels).double().mean()))
    assert last.variant.value == pytest.approx(float((after == labels).double().mean()))
    assert last.drop.value == pytest.approx(last.baseline.value - last.variant.value, abs=1e-12)
    assert last.changed == int((before != after).sum())


def test_a_model_as_baseline_gives_the_same_as_its_predictions():
    labels = torch.randint(4, (100,), generator=torch.Generator().manual_seed(0))
    data = data_of(labels, labels)
    *_, from_model = evaluate(shifted, identity, data, batch=16)
    *_, from_predictions = evaluate(predictions(shifted, data.inputs, batch=7), identity, data, batch=16)
    assert from_model == from_predictions
    assert from_model.baseline.value == 0


def test_the_first_estimate_comes_after_the_first_batch_with_a_wider_interval():
    labels = torch.randint(4, (1000,), generator=torch.Generator().manual_seed(0))
    first, *_, last = evaluate(labels, identity, data_of(labels, labels), batch=50, snapshot_s=0.0)
    assert first.variant.n == 50
    assert not first.final
    assert first.variant.high - first.variant.low > last.variant.high - last.variant.low
    assert last.variant.n == last.total == 1000


def test_a_data_set_sorted_by_class_gives_honest_first_estimates():
    labels = torch.arange(4).repeat_interleave(250)
    right_for_class_0_only = torch.zeros_like(labels)
    first = next(evaluate(labels, identity, data_of(right_for_class_0_only, labels), batch=200, snapshot_s=0.0))
    assert first.variant.low < 0.25 < first.variant.high


def test_nan_logits_are_never_right():
    inputs = torch.full((5, 4), float("nan"))
    assert predictions(identity, inputs).tolist() == [NOT_A_NUMBER] * 5
    *_, last = evaluate(torch.zeros(5, dtype=torch.int64), identity, Data(inputs, torch.zeros(5, dtype=torch.int64)))
    assert last.variant.value == 0


def test_cancelling_stops_before_the_next_batch():
    batches = []

    def checkpoint():
        if len(batches) == 2:
            raise Cancelled

    def model(inputs):
        batches.append(len(inputs))
        return inputs

    labels = torch.zeros(100, dtype=torch.int64)
    with pytest.raises(Cancelled):
        list(evaluate(labels, model, data_of(labels, labels), batch=10, checkpoint=checkpoint))
    assert batches == [10, 10]


def test_no_test_examples_is_an_error_that_says_so():
    with pytest.raises(WorkloadError, match="test data is empty"):
        next(evaluate(identity, identity, Data(torch.empty(0, 4), torch.empty(0, dtype=torch.int64))))


def test_predictions_of_other_data_are_refused():
    labels = torch.zeros(4, dtype=torch.int64)
    with pytest.raises(WorkloadError, match="3 baseline predictions don't fit 4"):
        next(evaluate(labels[:3], identity, data_of(labels, labels)))
