from __future__ import annotations

import math
import re

import pytest
import torch

from tests.contracts.forms import FORMS
from workbench.errors import WorkloadError
from workbench.tasks import metrics
from workbench.tasks.metrics.top_k import TopK

NAN = math.nan
SPREAD = torch.linspace(-4, 4, 24)
OURS = [each for each in metrics.registered().values() if type(each).__module__.startswith("workbench.")]


def value(name: str, outputs: torch.Tensor, targets: torch.Tensor) -> float:
    metric = metrics.find(name)
    return metric.value(metric.terms(outputs, targets).numpy())


def scores(answers: torch.Tensor, count: int, dim: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(answers, count).float().movedim(-1, dim)


@pytest.mark.parametrize("metric", OURS, ids=lambda each: each.name)
def test_the_contract_has_data_for_each_of_ours(metric):
    assert any(metric.misfit(form.perfect, form.targets) is None for form in FORMS)


@pytest.mark.parametrize("name", ["accuracy", "top-2"])
def test_scores_that_hold_nan_are_never_right(name):
    outputs = torch.tensor([[NAN, 0.0, 0.0], [5.0, NAN, 0.0], [5.0, 0.0, 0.0]])
    assert value(name, outputs, torch.tensor([0, 0, 0])) == pytest.approx(1 / 3)


@pytest.mark.parametrize("name", ["accuracy", "top-2", "macro-f1"])
def test_no_answer_is_not_the_right_one_where_there_is_no_target(name):
    assert value(name, torch.tensor([[NAN, NAN, NAN], [0.0, 9.0, 8.0]]), torch.tensor([-1, 0])) < 1


def test_the_untouched_model_s_nan_is_nothing_to_agree_with():
    assert value("agreement", torch.full((3, 4), NAN), torch.full((3, 4), NAN)) == 0


@pytest.mark.parametrize("name", ["mae", "rmse", "r2", "auroc", "spearman", "relative-error"])
def test_a_figure_of_numbers_that_are_none_is_none(name):
    targets = torch.tensor([0.0, 1.0, 1.0, 0.0])
    assert math.isnan(value(name, torch.tensor([0.1, NAN, 0.7, 0.3]), targets))


@pytest.mark.parametrize("name", ["perplexity", "bits-per-byte"])
def test_a_probability_of_a_token_that_counts_is_needed(name):
    outputs, targets = torch.zeros(2, 3, 8), torch.zeros(2, 3, dtype=torch.int64)
    outputs[1, 2] = NAN
    assert math.isnan(value(name, outputs, targets))
    targets[1, 2] = -1
    assert value(name, outputs, targets) == pytest.approx({"perplexity": 8, "bits-per-byte": 3}[name])


@pytest.mark.parametrize("ignored", [-1, -100])
def test_pixels_below_zero_do_not_count(ignored):
    answers = torch.tensor([[[0, 1], [2, 0]]])
    targets = torch.tensor([[[0, 0], [ignored, ignored]]])
    assert value("pixel-accuracy", scores(answers, 3, 1), targets) == 0.5
    # Of class 0 one pixel of two is found, class 1 is answered once and is nowhere, class 2 doesn't occur.
    assert value("mean-iou", scores(answers, 3, 1), targets) == pytest.approx((1 / 2 + 0) / 2)


def test_tokens_below_zero_do_not_count_and_longer_examples_weigh_more():
    answers, targets = torch.tensor([[1, 2, 3], [1, 0, 0]]), torch.tensor([[1, 2, 3], [0, -1, -100]])
    assert value("next-token-accuracy", scores(answers, 4, 2), targets) == 3 / 4


def test_a_pixel_without_an_answer_is_not_background():
    outputs, targets = torch.tensor([[[[9.0, NAN], [-9.0, NAN]]]]), torch.tensor([[[[1, 1], [0, 0]]]])
    assert value("mask-iou", outputs, targets) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("name", "outputs", "squash", "targets"),
    [
        ("mask-iou", SPREAD.reshape(2, 1, 3, 4), torch.sigmoid, torch.arange(24).reshape(2, 3, 4) % 2),
        ("perplexity", SPREAD.reshape(2, 3, 4), lambda scores: scores.softmax(2), torch.arange(6).reshape(2, 3) % 4),
        ("auroc", SPREAD, torch.sigmoid, torch.arange(24) % 2),
    ],
)
def test_probabilities_come_to_what_the_scores_do_that_they_were_made_of(name, outputs, squash, targets):
    metric = metrics.find(name).of_probabilities()
    assert metric.name == name
    probabilities = metric.value(metric.terms(squash(outputs), targets).numpy())
    assert probabilities == pytest.approx(value(name, outputs, targets), rel=1e-5)  # float32 through a logarithm


@pytest.mark.parametrize("name", ["pixel-accuracy", "mean-iou"])
def test_nothing_that_counts_tells_nothing(name):
    assert math.isnan(value(name, torch.zeros(2, 3, 4, 4), torch.full((2, 4, 4), -1)))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_class_numbers_are_whole_numbers_of_any_size(dtype):
    targets = torch.tensor([[[0, 1], [2, 2]]], dtype=dtype)
    outputs = scores(targets.long(), 300, 1)
    assert metrics.find("mean-iou").misfit(outputs, targets) is None
    assert value("mean-iou", outputs, targets) == 1
    assert value("perplexity", 100 * outputs.flatten(2).mT, targets.flatten(1)) == pytest.approx(1)


def test_any_number_of_best_classes_is_known_by_its_name():
    assert metrics.find("top-3") == TopK("share", 3)
    assert metrics.find("top-5") == metrics.registered()["top-5"]
    for name in ("top-0", "top-", "top-5x"):
        with pytest.raises(WorkloadError, match=r"is not known; did you mean .*top-5"):
            metrics.find(name)


def test_equal_scores_are_not_all_among_the_best():
    assert value("top-2", torch.zeros(8, 8), torch.arange(8)) == 2 / 8


def test_auroc_goes_by_the_order_alone_of_scores_however_large():
    outputs, targets = torch.tensor([200.0, 300.0, 100.0, -math.inf, math.inf]), torch.tensor([0, 1, 1, 0, 1])
    assert value("auroc", outputs, targets) == pytest.approx(5 / 6)


def test_auroc_leaves_out_labels_with_one_answer_and_tells_nothing_without_others():
    outputs, targets = torch.tensor([[0.1, 0.5], [0.9, 0.2]]), torch.tensor([[0.0, 1.0], [1.0, 1.0]])
    assert value("auroc", outputs, targets) == 1
    assert math.isnan(value("auroc", outputs[:, 1], targets[:, 1]))


def test_r2_leaves_out_numbers_whose_targets_never_change():
    outputs = torch.tensor([[1.0, 7.0], [2.0, 8.0], [3.0, 9.0]])
    targets = torch.tensor([[1.0, 0.1], [2.0, 0.1], [3.0, 0.1]])
    assert value("r2", outputs, targets) == pytest.approx(1)
    assert math.isnan(value("r2", outputs[:, 1], targets[:, 1]))


def test_r2_of_targets_far_from_zero_is_that_of_targets_near_it():
    random = torch.Generator().manual_seed(0)
    targets = torch.randn(1000, dtype=torch.float64, generator=random)
    outputs = targets + torch.randn(1000, dtype=torch.float64, generator=random) / 2
    # Squares of 10⁴ in float64 are known to 10⁸ · 2⁻⁵³ ≈ 10⁻⁸, of a variance of 1.
    assert value("r2", outputs + 1e4, targets + 1e4) == pytest.approx(value("r2", outputs, targets), abs=1e-7)


PIXELS, TOKENS = torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 300)
INTS = torch.zeros(2, dtype=torch.int64)


@pytest.mark.parametrize(
    ("name", "outputs", "targets", "said"),
    [
        ("accuracy", torch.zeros(2), INTS, r"accuracy needs outputs \[N, classes\] with 2 classes or more, not \[2\]"),
        ("accuracy", torch.zeros(2, 1), INTS, r"with 2 classes or more, not \[2, 1\]"),
        ("accuracy", torch.zeros(2, 3), torch.zeros(2), r"accuracy needs class numbers \[N\], not torch.float32 of"),
        ("accuracy", torch.zeros(2, 3), INTS + 3, "target 3 at index 0 is outside 0…2, the model's 3 outputs"),
        ("accuracy", torch.zeros(2, 3), INTS - 1, "target -1 at index 0 is outside the class numbers"),
        ("top-5", torch.zeros(2, 5), INTS, "needs more than 5 classes, and the model has 5 outputs"),
        ("macro-f1", torch.zeros(2, 3), torch.tensor([2, 7]), "target 7 at index 1 is outside 0…2"),
        ("mean-iou", PIXELS, torch.zeros(2, 4, 5, dtype=torch.int64), r"class numbers \[N, H, W\], not torch.int64 of"),
        ("mean-iou", PIXELS, torch.full((2, 4, 4), 255), "target 255 at index 0 is outside 0…2"),
        ("pixel-accuracy", PIXELS[0], INTS, r"needs outputs \[N, classes, H, W\] with 2"),
        ("perplexity", TOKENS, torch.zeros(2, 4), r"perplexity needs token numbers \[N, T\], not torch.float32"),
        ("next-token-accuracy", TOKENS[0], INTS, r"needs outputs \[N, T, tokens\] with 2 tokens or more"),
        ("bits-per-byte", TOKENS, torch.zeros(2, 4, dtype=torch.uint8), "tokens that are bytes, 256 at most, .* 300"),
        (
            "mask-iou",
            PIXELS,
            torch.zeros(2, 4, 4),
            r"mask IoU needs .* as many targets, not \[2, 3, 4, 4\]",
        ),
        ("mask-iou", PIXELS - 1, PIXELS + 0.5, "mask IoU needs targets of 0 and 1, and one is 0.5"),
        ("auroc", torch.zeros(2, 3), torch.zeros(2, 2), r"AUROC needs .* of the same shape, not \[2, 3\] and \[2, 2\]"),
        ("auroc", torch.zeros(2, 1), torch.tensor([0.0, 0.5]), "AUROC needs targets of 0 and 1, and one is 0.5"),
        ("rmse", torch.zeros(2, 3), torch.zeros(2), r"root mean squared error needs as many targets as outputs"),
        ("spearman", torch.zeros(2, 3), torch.zeros(2), r"pairs of embeddings \[N, 2, D\], not \[2, 3\]"),
        ("spearman", torch.zeros(2, 2, 3), torch.zeros(2, 2), r"one number for each example, \[N\], not .* \[2, 2\]"),
        ("agreement", torch.zeros(2, 3), torch.zeros(2), r"outputs of one shape, not \[2, 3\] and \[2\]"),
    ],
)
def test_what_does_not_fit_is_said_with_its_shape_or_value(name, outputs, targets, said):
    assert re.search(said, metrics.find(name).misfit(outputs, targets))
