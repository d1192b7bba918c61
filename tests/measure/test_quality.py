from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import Cancelled, WorkbenchError, WorkloadError
from workbench.measure.quality import Judged, batch_for, doubt, evaluate, in_turn
from workbench.tasks import metrics
from workbench.tasks.metrics._classes import NOT_A_NUMBER
from workbench.workload import Data

ACCURACY, MAE = metrics.find("accuracy"), metrics.find("mae")


def data_of(classes: torch.Tensor, targets: torch.Tensor) -> Data:
    """Examples whose input is the logits that a model passes on."""
    return Data(torch.nn.functional.one_hot(classes, 4).float(), targets)


def identity(inputs: torch.Tensor) -> torch.Tensor:
    return inputs


def shifted(inputs: torch.Tensor) -> torch.Tensor:
    return inputs.roll(1, dims=1)


def compared(data: Data, baseline=identity, variant=identity, metric=ACCURACY, **options):
    return evaluate(Judged(baseline, data, metric), variant, data, metric, **options)


CLASSES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@given(CLASSES, st.integers(1, 64))
def test_the_last_snapshot_equals_counting_by_hand(examples, batch):
    classes, targets = (torch.tensor(column) for column in zip(*examples, strict=True))
    *_, last = compared(data_of(classes, targets), variant=shifted, batch=batch)
    before, after = classes == targets, (classes + 1) % 4 == targets
    assert last.final
    assert last.baseline.value == pytest.approx(float(before.double().mean()))
    assert last.variant.value == pytest.approx(float(after.double().mean()))
    assert last.loss.value == pytest.approx(last.baseline.value - last.variant.value, abs=1e-12)
    assert (last.changed, last.answers) == (len(classes), len(classes))


def test_figures_carry_what_they_are():
    targets = torch.arange(12) % 4
    *_, last = compared(data_of(targets, targets))
    assert (last.variant.metric, last.variant.unit, last.variant.better, last.variant.n) == (
        "accuracy",
        "share",
        "higher",
        12,
    )


def test_the_first_estimate_comes_after_the_first_batch_with_a_wider_interval():
    targets = torch.randint(4, (1000,), generator=torch.Generator().manual_seed(0))
    first, *_, last = compared(data_of(targets, targets), batch=50, snapshot_s=0.0)
    assert first.variant.n == 50
    assert not first.final
    assert first.variant.high - first.variant.low > last.variant.high - last.variant.low
    assert last.variant.n == last.total == 1000


def test_a_data_set_sorted_by_class_gives_honest_first_estimates():
    targets = torch.arange(4).repeat_interleave(250)
    right_for_class_0_only = torch.zeros_like(targets)
    first = next(compared(data_of(right_for_class_0_only, targets), batch=200, snapshot_s=0.0))
    assert first.variant.low < 0.25 < first.variant.high


def test_nan_logits_are_never_right():
    data = Data(torch.full((5, 4), float("nan")), torch.zeros(5, dtype=torch.int64))
    terms, _, answers = Judged(identity, data, ACCURACY).at(torch.arange(5))
    assert answers.tolist() == [NOT_A_NUMBER] * 5
    assert terms.sum() == 0


def test_outputs_without_a_number_are_counted_but_scores_of_minus_infinity_are_a_models_way_to_say_never():
    scores = torch.eye(4)
    scores[0, 1], scores[1, 2], scores[2, 3] = float("nan"), float("inf"), -float("inf")
    data = Data(torch.eye(4), torch.arange(4))
    *_, last = compared(data, variant=lambda inputs: scores, batch=4)
    assert last.overflown == 2


def regression(n: int, seed: int = 0) -> Data:
    inputs = torch.randn(n, 1, generator=torch.Generator().manual_seed(seed))
    return Data(inputs, inputs[:, 0] + 1)


def test_of_a_metric_where_lower_is_better_a_positive_loss_is_worse():
    *_, last = compared(regression(400), variant=lambda inputs: inputs - 0.5, metric=MAE)
    assert last.baseline.value == pytest.approx(1.0, abs=1e-5)
    assert last.variant.value == pytest.approx(1.5, abs=1e-5)
    assert last.loss.value == pytest.approx(0.5, abs=1e-5)
    assert last.changed is None


def test_the_paired_loss_is_far_narrower_than_either_figure():
    data = Data(torch.randn(400, 1, generator=torch.Generator().manual_seed(0)), torch.zeros(400))
    *_, last = compared(data, variant=lambda inputs: inputs * 1.01, metric=MAE)
    assert last.loss.low < last.loss.value < last.loss.high
    assert last.loss.high - last.loss.low < 0.1 * (last.variant.high - last.variant.low)


@pytest.mark.parametrize("name", ["mae", "rmse"])
def test_bootstrap_intervals_contain_the_true_figure_95_times_in_100(name):
    metric, truth = metrics.find(name), {"mae": (2 / np.pi) ** 0.5, "rmse": 1.0}[name]
    inside = 0
    for seed in range(200):
        errors = torch.randn(80, 1, generator=torch.Generator().manual_seed(seed))
        *_, last = compared(Data(errors, torch.zeros(80)), metric=metric, seed=seed)
        inside += last.variant.low <= truth <= last.variant.high
    assert inside >= 180  # of 200 with a probability of 95 %, 179 or fewer come up less than once in 200


def test_a_metric_of_whole_sets_has_a_paired_interval_too():
    generator = torch.Generator().manual_seed(0)
    targets = torch.randint(2, (300,), generator=generator)
    scores = (targets + torch.randn(300, generator=generator)).unsqueeze(1)
    data, auroc = Data(scores, targets), metrics.find("auroc")
    noise = torch.randn(300, 1, generator=generator)
    *_, last = compared(data, variant=lambda inputs: inputs + noise[: len(inputs)], metric=auroc, batch=300)
    assert 0.5 < last.variant.value < last.baseline.value < 1
    assert last.loss.low < last.loss.value < last.loss.high


def test_the_first_examples_needn_t_tell_a_figure():
    targets = torch.tensor([0] * 290 + [1] * 10)
    data = Data(torch.rand(300, 1, generator=torch.Generator().manual_seed(0)) + targets[:, None], targets)
    *_, last = compared(data, metric=metrics.find("auroc"), batch=5, snapshot_s=0.0)
    assert last.final
    assert last.variant.value == 1


def test_without_targets_agreement_with_the_untouched_model_is_measured():
    data = Data(torch.randn(200, 4, generator=torch.Generator().manual_seed(0)))
    halves = lambda inputs: torch.where(torch.arange(len(inputs))[:, None] % 2 == 0, inputs, shifted(inputs))  # noqa: E731
    *_, last = compared(data, variant=halves, metric=metrics.find("agreement"), batch=200)
    assert last.baseline.value == 1
    assert last.variant.value == pytest.approx(0.5, abs=0.01)
    assert last.changed == 100


def test_an_untouched_model_whose_figure_is_no_number_is_an_error_that_counts_its_outputs():
    data = Data(torch.tensor([[1.0], [float("nan")], [3.0]]), torch.zeros(3))
    with pytest.raises(WorkloadError, match=r"mean absolute error of the untouched model is nan, since 1 of 3 outputs"):
        list(compared(data, metric=MAE))


def test_a_variant_whose_figure_is_no_number_fails_and_says_how_many_outputs_are_to_blame():
    data = regression(40)
    spoilt = lambda inputs: torch.where(inputs > 0, inputs, float("inf"))  # noqa: E731
    count = int((data.inputs[0] <= 0).sum())
    with pytest.raises(WorkbenchError, match=rf"mean absolute error of the variant is inf, since {count} of 40"):
        list(compared(data, variant=spoilt, metric=MAE))


def test_several_inputs_are_passed_one_by_one():
    data = Data((torch.ones(20, 2), torch.arange(20)), torch.arange(20.0))
    *_, last = compared(
        data, baseline=lambda a, b: a.sum(1) + b, variant=lambda a, b: a.sum(1) + b + 1, metric=MAE, batch=7
    )
    assert (last.baseline.value, last.variant.value) == (2, 3)


def test_cancelling_stops_before_the_next_batch():
    batches = []

    def checkpoint():
        if len(batches) == 2:
            raise Cancelled

    def model(inputs):
        batches.append(len(inputs))
        return inputs

    data = data_of(torch.zeros(100, dtype=torch.int64), torch.zeros(100, dtype=torch.int64))
    with pytest.raises(Cancelled):
        list(compared(data, variant=model, batch=10, checkpoint=checkpoint))
    assert batches == [10, 10]


def test_no_test_examples_is_an_error_that_says_so():
    with pytest.raises(WorkloadError, match="test data is empty"):
        Judged(identity, Data(torch.empty(0, 4), torch.empty(0, dtype=torch.int64)), ACCURACY)


def test_a_judgement_of_other_data_is_refused():
    targets = torch.zeros(4, dtype=torch.int64)
    found = Judged(identity, data_of(targets[:3], targets[:3]), ACCURACY)
    with pytest.raises(WorkloadError, match="a baseline judged on 3 examples doesn't fit 4"):
        next(evaluate(found, identity, data_of(targets, targets), ACCURACY))


def test_a_model_that_is_right_less_often_than_guessing_is_doubted():
    targets = torch.arange(100) % 2
    right, wrong = (Judged(model, data_of(targets, targets), ACCURACY) for model in (identity, shifted))
    for judged in (right, wrong):
        judged.at(torch.arange(100))
    assert doubt(right, ACCURACY) is None
    assert "fewer than always giving the most frequent class" in doubt(wrong, ACCURACY)


def test_each_example_is_judged_once_by_the_untouched_model_however_runs_take_turns():
    called = []

    def model(inputs):
        called.append(len(inputs))
        return inputs

    targets = torch.arange(100) % 4
    data = data_of(targets, targets)
    judged = Judged(model, data, ACCURACY)
    judged.at(in_turn(data, 30, seed=0)[0])
    assert called == [30]
    next(evaluate(judged, shifted, data, ACCURACY, batch=40, seed=1, snapshot_s=0.0))
    assert 50 <= sum(called) <= 70
    for seed in (0, 1):
        *_, last = evaluate(judged, shifted, data, ACCURACY, batch=30, seed=seed)
        assert (last.baseline.value, last.variant.value, last.changed) == (1, 0, 100)
    assert sum(called) == 100


@pytest.mark.parametrize(
    ("latency_batch", "shape", "batch"),
    [
        (1, (28, 28), 256),
        (512, (28, 28), 512),
        (1, (3, 224, 224), 13),
        (64, (3, 224, 224), 64),
        (1, (3, 2000, 2000), 1),
    ],
)
def test_large_examples_are_judged_few_at_a_time(latency_batch, shape, batch):
    assert batch_for(latency_batch, (torch.empty(2, *shape),)) == batch
