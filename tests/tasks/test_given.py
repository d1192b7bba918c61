"""Metrics and losses that a user gives."""

from __future__ import annotations

import functools
import math
import re

import cloudpickle
import pytest
import torch
import torchmetrics
from torch.nn import functional

from workbench.errors import WorkloadError
from workbench.tasks import losses, metrics
from workbench.tasks.metrics import Mean

OUTPUTS = torch.tensor([[1.0, 0.0, 2.0], [0.0, 3.0, 1.0], [2.0, 1.0, 0.0], [0.0, 1.0, 5.0]])
TARGETS = torch.tensor([2, 1, 1, 2])
HERE = r"\(test_given\.py, line (\d+)\)"


def margin(outputs, targets):
    best = outputs.topk(2, dim=1).values
    return best[:, 0] - best[:, 1]


def smooth(outputs, targets):
    return functional.cross_entropy(outputs, targets, label_smoothing=0.1)


def broken(outputs, targets):
    return helper_of_broken(outputs)


def helper_of_broken(outputs):
    return functional.linear(outputs, torch.zeros(2, 2))


LINE_OF_THE_HELPER = helper_of_broken.__code__.co_firstlineno + 1


def value(metric: metrics.Metric, outputs=OUTPUTS, targets=TARGETS) -> float:
    assert metric.misfit(outputs, targets) is None
    return metric.value(metric.terms(outputs, targets).numpy())


def test_a_function_s_figure_is_the_mean_of_what_it_gives_and_higher_is_better():
    metric = metrics.of(margin)
    assert isinstance(metric, Mean)
    assert (metric.name, metric.title, metric.better, metric.unit) == ("margin", "margin", "higher", "")
    assert value(metric) == (1 + 2 + 1 + 4) / 4


def test_a_function_may_say_that_lower_is_better():
    def distance(outputs, targets):
        return (outputs.argmax(1) - targets).abs()

    distance.better = "lower"
    assert metrics.of(distance).loss_of(1.0, 3.0) == 2.0
    distance.better = "less"
    assert "better = 'less'; give it" in metrics.of(distance).misfit(OUTPUTS, TARGETS)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (functools.partial(margin), "margin"),
        (lambda outputs, targets: [1, 0, 1, 1], "lambda"),
        (lambda outputs, targets: (outputs.argmax(1) == targets).numpy(), "lambda"),
        (torch.nn.CrossEntropyLoss(reduction="none"), "CrossEntropyLoss"),
    ],
)
def test_whatever_can_be_called_and_gives_numbers_is_a_metric(given, name):
    assert metrics.of(given).name == name
    assert math.isfinite(value(metrics.of(given)))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (broken, rf"the metric function broken raises RuntimeError: mat1 and mat2 .* {HERE}"),
        (lambda outputs: outputs, r"the metric function lambda raises TypeError: .* takes 1 positional argument"),
        (lambda outputs, targets: 1 // 0, rf"raises ZeroDivisionError: integer .* {HERE}"),
        (lambda outputs, targets: next(iter(())), rf"raises StopIteration {HERE}"),
        (lambda outputs, targets: outputs, r"returns float32 of shape \[4, 3\]; return a number for each of the 4"),
        (lambda outputs, targets: 0.5, r"returns float32 of shape \[\]; return a number for each .* shape \[4\]"),
        (lambda outputs, targets: None, "returns NoneType; return a number for each of the 4"),
        (lambda outputs, targets: {"f1": 1}, "returns dict; return a number for each of the 4"),
        (lambda outputs, targets: outputs[:, 0] * 1j, r"returns complex64 of shape \[4\]; return a number"),
        (lambda outputs, targets: (outputs[:, 0] - 2).sqrt(), "gives NaN for example 0 of the 4 it is called with"),
    ],
)
def test_a_function_s_mistake_is_one_line_that_says_where(function, said):
    metric = metrics.of(function)
    with pytest.raises(WorkloadError, match=said) as raised:
        metric.terms(OUTPUTS, TARGETS)
    assert "\n" not in str(raised.value)
    assert metric.misfit(OUTPUTS, TARGETS) == str(raised.value)


def test_the_line_named_is_the_last_one_reached_in_the_user_s_file():
    (line,) = re.findall(HERE, metrics.of(broken).misfit(OUTPUTS, TARGETS))
    assert int(line) == LINE_OF_THE_HELPER


def test_a_function_from_a_notebook_is_named_by_the_line_of_its_cell():
    names: dict = {}
    exec(compile("def mine(outputs, targets):\n    return 1 / 0\n", "/tmp/ipykernel_7/42.py", "exec"), names)
    assert metrics.of(names["mine"]).misfit(OUTPUTS, TARGETS).endswith("division by zero (line 2 of its cell)")


def test_outputs_that_hold_nan_may_give_nan():
    outputs = OUTPUTS.clone()
    outputs[1, 1] = math.nan
    terms = metrics.of(lambda outputs, targets: outputs.sum(1)).terms(outputs, TARGETS)
    assert terms.isnan().flatten().tolist() == [False, True, False, False]


def test_a_function_that_changes_targets_in_place_changes_no_data():
    targets = TARGETS.clone()
    metrics.of(lambda outputs, targets: targets.add_(1)).terms(OUTPUTS, targets)
    assert torch.equal(targets, TARGETS)


def test_a_function_travels_to_the_worker_with_what_it_says_of_itself():
    def distance(outputs, targets):
        return (outputs.argmax(1) - targets).abs()

    distance.better = "lower"
    sent = metrics.of(cloudpickle.loads(cloudpickle.dumps(distance)))
    assert sent.better == "lower"
    assert value(sent) == value(metrics.of(distance))


def test_a_torchmetrics_metric_computes_of_all_outputs_at_once():
    given = torchmetrics.CohenKappa(task="multiclass", num_classes=3)
    metric = metrics.of(given)
    assert (metric.name, metric.better) == ("MulticlassCohenKappa", "higher")
    assert value(metric) == pytest.approx(float(given(OUTPUTS, TARGETS)))
    assert value(metric) == value(metric), "nothing is left of the last time"
    assert metrics.of(torchmetrics.HammingDistance(task="multiclass", num_classes=3)).better == "lower"


def test_a_torchmetrics_metric_gets_shapes_and_types_as_they_were():
    pixels = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    classes = pixels.roll(1, 0).argmax(1)
    given = torchmetrics.JaccardIndex(task="multiclass", num_classes=4)
    metric = metrics.of(given)
    terms = torch.cat([metric.terms(pixels[part], classes[part]) for part in (slice(0, 2), slice(2, 3))])
    assert metric.value(terms.numpy()) == pytest.approx(float(given(pixels, classes)))


def test_a_torchmetrics_metric_that_a_user_has_used_keeps_what_it_knows():
    given = torchmetrics.MeanAbsoluteError()
    given.update(torch.zeros(3), torch.ones(3))
    assert value(metrics.of(given), torch.zeros(4), torch.full((4,), 3.0)) == 3
    assert float(given.compute()) == 1


def test_a_torchmetrics_metric_of_outputs_that_hold_nan_is_none():
    metric = metrics.of(torchmetrics.AUROC(task="multiclass", num_classes=3))
    outputs = OUTPUTS.clone()
    outputs[1, 1] = math.nan
    assert math.isnan(metric.value(metric.terms(outputs, TARGETS).numpy()))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (torchmetrics.Accuracy(task="multiclass", num_classes=7), "metric MulticlassAccuracy raises ValueError: "),
        (torchmetrics.Accuracy(task="multiclass", num_classes=3, average=None), r"gives shape \[3\]; choose one that"),
        (torchmetrics.MeanSquaredError(), "metric MeanSquaredError raises RuntimeError: .*shape"),
        (torchmetrics.ConfusionMatrix(task="multiclass", num_classes=3), "doesn't say which figures are better"),
    ],
)
def test_a_torchmetrics_metric_s_mistake_is_one_line(given, said):
    misfit = metrics.of(given).misfit(OUTPUTS, TARGETS)
    assert re.search(said, misfit)
    assert "\n" not in misfit


def test_the_line_named_is_the_user_s_own_also_in_a_metric_class_of_theirs():
    class Mine(torchmetrics.MeanSquaredError):
        def update(self, outputs, targets):
            raise ValueError("none of this")

    assert re.search(
        rf"metric Mine raises ValueError: none of this {HERE}$", metrics.of(Mine()).misfit(OUTPUTS, TARGETS)
    )
    theirs = metrics.of(torchmetrics.MeanSquaredError()).misfit(OUTPUTS, TARGETS)
    assert ".py" not in theirs, "a library's line helps nobody"


def test_a_torchmetrics_metric_that_does_not_know_can_be_told_which_figures_are_better():
    given = torchmetrics.MeanSquaredError()
    given.better = "higher"
    assert metrics.of(given).better == "higher"


def test_names_and_metrics_of_ours_are_taken_as_they_are():
    accuracy = metrics.find("accuracy")
    assert metrics.of("accuracy") is metrics.of(accuracy) is accuracy
    assert losses.of("mse") is losses.of(losses.find("mse")) is losses.find("mse")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (7, "metric is int 7; it can be one of accuracy, .*, a function .*, or a torchmetrics metric"),
        (torchmetrics.MeanSquaredError, "metric is the class MeanSquaredError; it can be"),
        ("acuracy", "metric 'acuracy' is not known; did you mean accuracy"),
    ],
)
def test_what_is_no_metric_is_told_what_can_be_one(given, said):
    with pytest.raises(WorkloadError, match=said):
        metrics.of(given)


def test_a_function_is_a_loss_and_follows_a_teacher_by_the_mean_squared_error():
    loss = losses.of(smooth)
    assert loss.name == "smooth"
    assert loss.misfit(OUTPUTS, TARGETS) is None
    assert torch.equal(loss(OUTPUTS, TARGETS), smooth(OUTPUTS, TARGETS))
    assert torch.equal(loss.towards(OUTPUTS, OUTPUTS.flip(0), 4.0), functional.mse_loss(OUTPUTS, OUTPUTS.flip(0)))
    assert losses.of(torch.nn.CrossEntropyLoss()).misfit(OUTPUTS, TARGETS) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (broken, rf"the loss function broken raises RuntimeError: .* {HERE}"),
        (lambda outputs, targets: outputs, r"returns shape \[4, 3\]; return a scalar tensor, the mean over the batch"),
        (lambda outputs, targets: 1.0, "returns float; return a scalar tensor"),
        (lambda outputs, targets: outputs.detach().sum(), "gives no gradient; compute it with torch"),
    ],
)
def test_a_loss_function_s_mistake_is_one_line(given, said):
    misfit = losses.of(given).misfit(OUTPUTS, TARGETS)
    assert re.search(said, misfit)
    assert "\n" not in misfit


def test_what_is_no_loss_is_told_what_can_be_one():
    with pytest.raises(WorkloadError, match=r"loss is the class L1Loss; it can be one of binary, .*, or a function"):
        losses.of(torch.nn.L1Loss)
