from __future__ import annotations

import re

import pytest
import torch
from torch.nn import functional

from workbench.errors import WorkloadError
from workbench.tasks import losses

SCORES = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
CLASSES = torch.tensor([0, 4, 2, 3, 1, 1])
PIXELS = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0))
PIXEL_CLASSES = torch.arange(24).reshape(2, 3, 4) % 5
LINES, LINE_CLASSES = PIXELS[:, :, 0], PIXEL_CLASSES[:, 0]
YES_OR_NO = SCORES > 0.3
PAIRS = torch.stack([SCORES, SCORES.flip(0) + 1], dim=1)
SIMILARITIES = functional.cosine_similarity(*PAIRS.unbind(1))
ONE = YES_OR_NO[:, 0]
binary_cross_entropy = functional.binary_cross_entropy_with_logits


@pytest.mark.parametrize(
    ("name", "outputs", "targets", "theirs"),
    [
        ("cross-entropy", SCORES, CLASSES, functional.cross_entropy(SCORES, CLASSES)),
        ("cross-entropy", SCORES, CLASSES.int(), functional.cross_entropy(SCORES, CLASSES)),
        ("cross-entropy", PIXELS, PIXEL_CLASSES, functional.cross_entropy(PIXELS, PIXEL_CLASSES)),
        ("token-cross-entropy", LINES.mT, LINE_CLASSES, functional.cross_entropy(LINES, LINE_CLASSES)),
        ("binary", SCORES, YES_OR_NO, binary_cross_entropy(SCORES, YES_OR_NO.float())),
        ("binary", SCORES[:, :1], ONE.long(), binary_cross_entropy(SCORES[:, 0], ONE.float())),
        ("binary-probabilities", SCORES.sigmoid(), YES_OR_NO, binary_cross_entropy(SCORES, YES_OR_NO.float())),
        ("cross-entropy-probabilities", SCORES.softmax(1), CLASSES, functional.cross_entropy(SCORES, CLASSES)),
        ("correlation", SCORES[:, 0], SCORES[:, 1], 1 - torch.corrcoef(SCORES[:, :2].T)[0, 1]),
        ("correlation", PAIRS, CLASSES, 1 - torch.corrcoef(torch.stack([SIMILARITIES, CLASSES.float()]))[0, 1]),
        ("mse", SCORES, SCORES.flip(0), functional.mse_loss(SCORES, SCORES.flip(0))),
        ("mse", SCORES[:, :1], SCORES[:, 1].double(), functional.mse_loss(SCORES[:, 0], SCORES[:, 1])),
    ],
)
def test_a_loss_is_torch_s_own(name, outputs, targets, theirs):
    loss = losses.find(name)
    assert loss.misfit(outputs, targets) is None
    assert float(loss(outputs, targets)) == pytest.approx(float(theirs), rel=1e-6)


@pytest.mark.parametrize(("name", "squash"), [("binary", torch.sigmoid), ("cross-entropy", lambda x: x.softmax(1))])
def test_probabilities_are_as_far_from_a_teacher_s_as_the_scores_they_were_made_of(name, squash):
    scores, probabilities = losses.find(name), losses.find(losses.find(name).of_probabilities)
    teacher = SCORES.flip(0)
    far = float(scores.towards(SCORES, teacher, 3.0))
    assert float(probabilities.towards(squash(SCORES), squash(teacher), 3.0)) == pytest.approx(far, rel=1e-4)


def test_similarities_of_any_scale_teach_the_same():
    loss = losses.find("correlation")
    assert float(loss(PAIRS, CLASSES)) == pytest.approx(float(loss(PAIRS, 5 * CLASSES + 3)), rel=1e-5)


@pytest.mark.parametrize("targets", [CLASSES, torch.ones(6)])
def test_outputs_that_are_all_the_same_have_a_gradient_that_is_a_number(targets):
    outputs = torch.ones(6, requires_grad=True)
    (gradient,) = torch.autograd.grad(losses.find("correlation")(outputs, targets), outputs)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("ignored", [-1, -100])
def test_targets_below_zero_teach_nothing(ignored):
    loss, some = losses.find("cross-entropy"), CLASSES.clone()
    some[:2] = ignored
    assert float(loss(SCORES, some)) == pytest.approx(float(loss(SCORES[2:], CLASSES[2:])))


def test_a_batch_without_a_target_that_counts_leaves_the_model_as_it_is():
    outputs = SCORES.clone().requires_grad_()
    loss = losses.find("cross-entropy")(outputs, torch.full((6,), -1))
    assert float(loss.detach()) == 0
    assert not torch.autograd.grad(loss, outputs)[0].any()


def test_a_teacher_s_scores_are_softened_as_hinton_has_it():
    teacher = SCORES.flip(0)
    taught, student = (functional.softmax(each / 3, dim=1) for each in (teacher, SCORES))
    by_hand = 9 * (taught * (taught.log() - student.log())).sum(1).mean()
    assert float(losses.find("cross-entropy").towards(SCORES, teacher, 3)) == pytest.approx(float(by_hand), rel=1e-5)


def test_each_pixel_and_each_token_counts_as_an_example_towards_a_teacher():
    of_pixels = losses.find("cross-entropy").towards(PIXELS, PIXELS.flip(0), 2)
    flat = PIXELS.movedim(1, -1)
    of_tokens = losses.find("token-cross-entropy").towards(flat.flatten(1, 2), flat.flip(0).flatten(1, 2), 2)
    of_examples = losses.find("cross-entropy").towards(flat.flatten(0, 2), flat.flip(0).flatten(0, 2), 2)
    assert float(of_pixels) == pytest.approx(float(of_examples), rel=1e-5)
    assert float(of_tokens) == pytest.approx(float(of_examples), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "outputs", "targets", "said"),
    [
        ("cross-entropy", SCORES, CLASSES[:, None], r"class numbers \[6\] for outputs \[6, 5\], not \[6, 1\]"),
        ("cross-entropy", SCORES[:, :1], CLASSES, r"scores of 2 classes or more, not outputs of shape \[6, 1\]"),
        ("cross-entropy", SCORES, CLASSES.float(), "class numbers .*, not torch.float32"),
        ("cross-entropy", SCORES, CLASSES + 1, "target is 5 while the model has 5 outputs"),
        ("token-cross-entropy", PIXELS, PIXEL_CLASSES, "token-cross-entropy needs class numbers"),
        ("binary", SCORES, SCORES, "targets between 0 and 1"),
        ("binary", SCORES, CLASSES, r"as many targets as outputs, not \[6\] for \[6, 5\]"),
        ("mse", SCORES, CLASSES, r"as many targets as outputs, not \[6\] for \[6, 5\]"),
    ],
)
def test_what_a_loss_can_not_learn_from_is_said(name, outputs, targets, said):
    assert re.search(said, losses.find(name).misfit(outputs, targets))


def test_an_unknown_loss_is_told_with_the_nearest():
    with pytest.raises(WorkloadError, match="loss 'cross_entropy' is not known; did you mean cross-entropy"):
        losses.of("cross_entropy")
