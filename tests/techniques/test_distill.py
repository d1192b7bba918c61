from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from torch import nn

from tests.techniques import parts
from workbench import models
from workbench.errors import Cancelled, RecipeError, WorkbenchError
from workbench.tasks import losses
from workbench.techniques.distill import Distill
from workbench.variant import Variant
from workbench.workload import Data

STUDENT = "fashion-student"


def distilled(module, context, **options):
    return Distill(**{"epochs": 1, **options}).apply(Variant(module), context)


def test_the_student_takes_the_place_of_the_model(workload, few):
    student = distilled(workload.module, few, student=STUDENT).module
    assert type(student) is type(models.build(STUDENT))
    assert student(few.train.inputs[0][:3]).shape == (3, 10)


def test_half_width_keeps_the_architecture_with_half_its_channels(workload, few):
    student = distilled(workload.module, few, student="half-width").module
    assert type(student) is type(workload.module)
    assert (student.conv1.out_channels, student.conv2.out_channels, student.fc1.out_features) == (8, 16, 64)


@pytest.mark.parametrize("architecture", parts.ARCHITECTURES[:4])
def test_half_width_works_for_a_users_own_model(few, architecture):
    module = parts.build(architecture)
    student = distilled(module, few).module
    assert sum(weight.numel() for weight in student.parameters()) < sum(
        weight.numel() for weight in module.parameters()
    )


@pytest.mark.parametrize("labels", ["soft", "hard"])
def test_the_student_learns(workload, few, labels):
    points = []
    context = dataclasses.replace(few, curve=points.append)
    student = distilled(workload.module, context, student=STUDENT, labels=labels, epochs=4).module
    correct = parts.logits(student, workload.test.inputs[0][:1000]).argmax(1) == workload.test.targets[:1000]
    assert correct.float().mean() > 0.5  # chance is 0.1
    assert points[-1].loss < points[0].loss


def test_the_teacher_alone_teaches_when_its_share_is_one(workload, few):
    wrong = dataclasses.replace(few.train, targets=torch.zeros_like(few.train.targets))
    context = dataclasses.replace(few, train=wrong)
    student = distilled(workload.module, context, weight=1.0).module
    images = workload.test.inputs[0][:500]
    agree = parts.logits(student, images).argmax(1) == parts.logits(workload.module, images).argmax(1)
    assert agree.float().mean() > 0.5


def test_the_soft_loss_has_the_gradient_hinton_describes(few):
    """As T grows, T² · dKL/dz tends to (z - v) / classes for logits of mean zero (Hinton et al., 2015, section 2.1)."""
    teacher = torch.randn(4, 10, generator=torch.Generator().manual_seed(0))
    given = torch.randn(4, 10, generator=torch.Generator().manual_seed(1))
    teacher, given = teacher - teacher.mean(1, keepdim=True), (given - given.mean(1, keepdim=True)).requires_grad_()
    loss = Distill(weight=1.0, temperature=20)._loss(losses.find("cross-entropy"), Data(teacher), few.train)
    loss(given, torch.arange(4)).backward()
    expected = (given.detach() - teacher) / 10 / 4
    # Terms of second order in z/T are left out there: |z| is up to 3, so they are up to 3/20 of the first.
    assert (given.grad - expected).norm() <= 0.15 * expected.norm()


def test_soft_and_hard_labels_teach_differently(workload, few):
    soft, hard = (distilled(workload.module, few, student=STUDENT, labels=labels).module for labels in ("soft", "hard"))
    assert not parts.same_weights(soft, hard)


def test_no_weight_on_the_teacher_is_the_same_as_hard_labels(workload, few):
    none = distilled(workload.module, few, student=STUDENT, weight=0.0).module
    hard = distilled(workload.module, few, student=STUDENT, labels="hard").module
    assert parts.same_weights(none, hard)


def test_equal_seeds_give_bit_equal_students_and_others_do_not(workload, few):
    first, second = (distilled(workload.module, few, student=STUDENT).module for _ in range(2))
    other = distilled(workload.module, dataclasses.replace(few, seed=1), student=STUDENT).module
    assert parts.same_weights(first, second)
    assert not parts.same_weights(first, other)


def test_an_unknown_student_is_refused_with_the_nearest_names():
    with pytest.raises(RecipeError, match=r"student 'fashion-studnet' is not known; did you mean fashion-student"):
        Distill(student="fashion-studnet")


def test_a_student_for_other_inputs_is_refused_in_words(few):
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 10)).eval()
    context = dataclasses.replace(few, train=dataclasses.replace(few.train, inputs=torch.rand(len(few.train), 3, 2, 2)))
    with pytest.raises(
        WorkbenchError, match=r"'fashion-student' doesn't take this workload's inputs of shape \[3, 2, 2\]"
    ):
        distilled(module, context, student=STUDENT)


def test_a_student_with_other_classes_is_refused_in_words(few):
    module = nn.Sequential(nn.Flatten(), nn.Linear(784, 12)).eval()
    with pytest.raises(WorkbenchError, match=r"gives outputs of shape \[10\] and the model \[12\]; use 'half-width'"):
        distilled(module, few, student=STUDENT)


@pytest.mark.parametrize("student", ["half-width", STUDENT])
def test_targets_that_nothing_fits_are_refused_before_the_teacher_is_asked(workload, few, student):
    progress = []
    context = dataclasses.replace(
        few,
        train=dataclasses.replace(few.train, targets=few.train.targets.float()),
        progress=lambda message, done, total: progress.append(message),
    )
    with pytest.raises(WorkbenchError, match=r"distill trains, and no metric fits .* targets of float32 \[1024\]"):
        distilled(workload.module, context, student=student)
    assert not progress


def test_a_student_of_half_the_width_has_plain_weights(few):
    module = nn.Sequential(nn.Flatten(), nn.utils.parametrizations.weight_norm(nn.Linear(784, 32)), nn.Linear(32, 10))
    assert distilled(module.eval(), few).module[1].weight.shape == (16, 784)


@pytest.mark.parametrize("student", ["half-width", STUDENT])
def test_cancelling_stops_at_the_next_batch_and_leaves_nothing_behind(workload, few, student):
    before, random_state = copy.deepcopy(workload.module), torch.get_rng_state()
    checkpoint = parts.CancelAfter(8)
    with pytest.raises(Cancelled):
        distilled(workload.module, dataclasses.replace(few, checkpoint=checkpoint), student=student)
    assert checkpoint.left == 0
    assert parts.same_weights(workload.module, before)
    assert torch.equal(torch.get_rng_state(), random_state)


def test_its_words_are_short():
    assert Distill(student=STUDENT).summary() == "distill → fashion-student"
