"""Every metric of ours gives what torchmetrics gives on the same data."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchmetrics.functional import classification as by_class
from torchmetrics.functional import regression as by_number
from torchmetrics.functional.text import perplexity

from workbench.tasks import metrics

SEEDS = st.integers(0, 2**32 - 1)
CLASSES, LABELS = 7, 3
untimed = settings(deadline=None)
"""How long an example takes is the machine's affair."""


def drawn(outputs: tuple[int, ...], dim: int | None, seed: int, ignored: float = 0.0) -> tuple[Tensor, Tensor]:
    """Scores and class numbers that they often meet; some targets are below zero, never the first example's."""
    random = torch.Generator().manual_seed(seed)
    scores = torch.randn(outputs, generator=random)
    targets = (scores + torch.randn(outputs, generator=random)).argmax(dim)
    out = torch.rand(targets.shape, generator=random) < ignored
    out[0] = False
    return scores, targets.masked_fill(out, -1)


def numbers(shape: tuple[int, ...], seed: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    outputs = torch.randn(shape, generator=random)
    return outputs, 3 + 2 * outputs + torch.randn(shape, generator=random)


def value(name: str, outputs: Tensor, targets: Tensor) -> float:
    metric = metrics.find(name)
    assert metric.misfit(outputs, targets) is None
    return metric.value(metric.terms(outputs, targets).numpy())


def same(figure: Tensor) -> object:
    """Theirs is computed in float32, from counts or sums of as many numbers as there are examples."""
    return pytest.approx(float(figure), rel=1e-5, abs=1e-6)


@untimed
@given(st.integers(1, 60), SEEDS)
def test_accuracy(n, seed):
    outputs, targets = drawn((n, CLASSES), 1, seed)
    theirs = by_class.multiclass_accuracy(outputs, targets, CLASSES, average="micro")
    assert value("accuracy", outputs, targets) == same(theirs)


@untimed
@given(st.integers(1, 60), st.integers(1, CLASSES - 1), SEEDS)
def test_top_k(n, k, seed):
    outputs, targets = drawn((n, CLASSES), 1, seed)
    theirs = by_class.multiclass_accuracy(outputs, targets, CLASSES, average="micro", top_k=k)
    assert value(f"top-{k}", outputs, targets) == same(theirs)


@untimed
@given(st.integers(1, 60), SEEDS)
def test_macro_f1(n, seed):
    outputs, targets = drawn((n, CLASSES), 1, seed, ignored=0.2)
    theirs = by_class.multiclass_f1_score(outputs, targets, CLASSES, average="macro", ignore_index=-1)
    assert value("macro-f1", outputs, targets) == same(theirs)


@untimed
@given(st.integers(1, 20), SEEDS)
def test_mean_iou(n, seed):
    outputs, targets = drawn((n, CLASSES, 3, 4), 1, seed, ignored=0.2)
    theirs = by_class.multiclass_jaccard_index(outputs, targets, CLASSES, average="macro", ignore_index=-1)
    assert value("mean-iou", outputs, targets) == same(theirs)


@untimed
@given(st.integers(1, 20), SEEDS)
def test_mask_iou(n, seed):
    outputs, targets = drawn((n, 2, 3, 4), 1, seed)
    scores = outputs[:, 1:] - outputs[:, :1]
    targets[0, 0, 0], scores[0] = 1, scores[0] - scores[0, 0, 0, 0] + 2  # at least one pixel, and no probability
    theirs = by_class.binary_jaccard_index((scores > 0).long(), targets.unsqueeze(1))
    assert value("mask-iou", scores, targets) == same(theirs)


@untimed
@given(st.integers(1, 20), SEEDS)
def test_pixel_accuracy(n, seed):
    outputs, targets = drawn((n, CLASSES, 3, 4), 1, seed, ignored=0.2)
    theirs = by_class.multiclass_accuracy(outputs, targets, CLASSES, average="micro", ignore_index=-1)
    assert value("pixel-accuracy", outputs, targets) == same(theirs)


@untimed
@given(st.integers(1, 20), SEEDS)
def test_next_token_accuracy(n, seed):
    outputs, targets = drawn((n, 5, CLASSES), 2, seed, ignored=0.2)
    theirs = by_class.multiclass_accuracy(outputs.mT, targets, CLASSES, average="micro", ignore_index=-1)
    assert value("next-token-accuracy", outputs, targets) == same(theirs)


@untimed
@given(st.integers(1, 20), SEEDS)
def test_perplexity_and_bits_per_byte(n, seed):
    outputs, targets = drawn((n, 5, CLASSES), 2, seed, ignored=0.2)
    theirs = perplexity(outputs, targets, ignore_index=-1)
    assert value("perplexity", outputs, targets) == same(theirs)
    assert value("bits-per-byte", outputs, targets) == same(theirs.log2())


@untimed
@given(st.integers(1, 40), SEEDS)
def test_auroc_of_one_label(n, seed):
    outputs, targets = drawn((n, 2), 1, seed)
    scores, targets = outputs[:, 1].round(decimals=1), torch.cat([targets, torch.tensor([0, 1])])
    scores = torch.cat([scores, torch.tensor([0.3, 0.3])])
    theirs = by_class.binary_auroc(scores.double().sigmoid(), targets)
    assert value("auroc", scores, targets) == same(theirs)
    assert value("auroc", scores.unsqueeze(1), targets.bool()) == same(theirs)


@untimed
@given(st.integers(30, 60), SEEDS)
def test_auroc_of_several_labels(n, seed):
    outputs, targets = drawn((n, LABELS, 2), 2, seed)
    targets[0], targets[1] = 0, 1
    theirs = by_class.multilabel_auroc(outputs[..., 1].double().sigmoid(), targets, LABELS)
    assert value("auroc", outputs[..., 1], targets) == same(theirs)


@untimed
@given(st.integers(1, 60), SEEDS)
def test_errors(n, seed):
    outputs, targets = numbers((n, 4), seed)
    assert value("mae", outputs, targets) == same(by_number.mean_absolute_error(outputs, targets))
    assert value("rmse", outputs, targets) == same(by_number.mean_squared_error(outputs, targets, squared=False))


@untimed
@given(st.integers(10, 60), SEEDS)  # theirs takes the squares of two targets close to each other, below 1e-4, for none
def test_r2(n, seed):
    outputs, targets = numbers((n, 4), seed)
    theirs = by_number.r2_score(outputs.double(), targets.double())
    assert value("r2", outputs, targets) == same(theirs)


@untimed
@given(st.integers(2, 60), SEEDS)
def test_spearman_with_ties(n, seed):
    outputs, targets = numbers((n,), seed)
    outputs, targets = outputs.round(decimals=1), targets.round()
    targets[0] = targets[1] + 1  # where all are the same, which says nothing, theirs is 0
    theirs = by_number.spearman_corrcoef(outputs.double(), targets.double())
    assert value("spearman", outputs, targets) == same(theirs)


@untimed
@given(st.integers(2, 60), SEEDS)
def test_spearman_of_pairs(n, seed):
    embeddings, _ = numbers((n, 2, 8), seed)
    targets = torch.rand(n, generator=torch.Generator().manual_seed(seed))
    similarity = torch.stack([torch.cosine_similarity(*pair, dim=0) for pair in embeddings.double()])
    theirs = by_number.spearman_corrcoef(similarity, targets.double())
    assert value("spearman", embeddings, targets) == same(theirs)


@untimed
@given(st.integers(1, 60), SEEDS)
def test_agreement_and_relative_error(n, seed):
    outputs, untouched = numbers((n, CLASSES), seed)
    theirs = by_class.multiclass_accuracy(outputs, untouched.argmax(1), CLASSES, average="micro")
    assert value("agreement", outputs, untouched) == same(theirs)
    squared = by_number.mean_squared_error(outputs, untouched) / by_number.mean_squared_error(0 * untouched, untouched)
    assert value("relative-error", outputs, untouched) == same(squared.sqrt())
