from __future__ import annotations

import dataclasses
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.techniques import parts
from workbench.errors import WorkbenchError
from workbench.techniques._training import Plan, outputs, train
from workbench.workload import Data

PLAN = Plan("prune", epochs=2, learning_rate=0.01)


def model():
    return parts.build(lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)))


def learn(context, plan=PLAN, module=None):
    module = module or model()
    train(module, plan, context, lambda logits, rows: functional.cross_entropy(logits, context.train.labels[rows]))
    return module


def test_the_curve_comes_in_order_and_ends_with_the_last_step(few):
    points = []
    learn(dataclasses.replace(few, curve=points.append))
    total = 2 * (1024 // PLAN.batch)
    assert [point.step for point in points] == sorted({point.step for point in points})
    assert (points[0].step, points[-1].step) == (1, total)
    assert {(point.technique, point.total_steps) for point in points} == {("prune", total)}
    assert points[-1].epoch == 2


def test_the_curve_has_at_most_ten_points_a_second(few, monkeypatch):
    now = iter(range(10**6))
    clock = SimpleNamespace(monotonic=lambda: next(now) * 0.01)
    monkeypatch.setattr("workbench.techniques._training.time", clock)
    points = []
    learn(dataclasses.replace(few, curve=points.append))
    assert all(later.step - earlier.step >= 10 for earlier, later in pairwise(points[:-1]))


def test_a_loss_that_explodes_is_told_with_the_learning_rate(few):
    context = dataclasses.replace(few, train=Data(few.train.inputs * float("inf"), few.train.labels))
    with pytest.raises(WorkbenchError, match=r"prune diverged: .* smaller learning rate than 0.01"):
        learn(context)


def test_a_single_example_is_not_enough_to_train_on(few):
    context = dataclasses.replace(few, train=Data(few.train.inputs[:1], few.train.labels[:1]))
    with pytest.raises(WorkbenchError, match="at least 2 training examples, not 1"):
        learn(context)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (torch.zeros(1024), r"the targets are float32 of shape \[1024\]"),
        (torch.zeros(1024, 10), r"the targets are float32 of shape \[1024, 10\]"),
        (torch.zeros(1024, dtype=torch.int32), r"the targets are int32 of shape \[1024\]"),
        (torch.zeros(1024, 10, dtype=torch.int64), r"the targets are int64 of shape \[1024, 10\]"),
        (torch.arange(1024) % 11, r"the targets go from 0 to 10 while the model has 10 outputs"),
        (torch.arange(1024) % 2 - 1, r"the targets go from -1 to 0 while"),
    ],
)
def test_targets_that_are_no_class_numbers_are_refused_and_the_model_stays(few, labels, told):
    module, before = model(), model()
    context = dataclasses.replace(few, train=Data(few.train.inputs, labels))
    with pytest.raises(WorkbenchError, match=rf"prune trains classifiers, .* {told}.*; give class numbers"):
        learn(context, module=module)
    assert parts.same_weights(module, before)


def test_outputs_that_are_no_classes_are_refused(few):
    module = nn.Conv2d(1, 10, 3)
    with pytest.raises(WorkbenchError, match=r"outputs of shape \[2, 10, 26, 26\] for 2 examples instead of"):
        learn(few, module=module)


@pytest.mark.parametrize("examples", [2, 5, 300, 600])
def test_any_number_of_examples_trains(few, examples):
    context = dataclasses.replace(few, train=Data(few.train.inputs[:examples], few.train.labels[:examples]))
    before = model()
    assert not parts.same_weights(learn(context), before)


def test_dropout_is_seeded_too(few):
    def dropping():
        return parts.build(lambda: nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 10)))

    assert parts.same_weights(learn(few, module=dropping()), learn(few, module=dropping()))


def test_parameters_of_whole_numbers_stay_while_others_learn(few):
    class Ordered(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(784, 10)
            self.order = nn.Parameter(torch.arange(10).flip(0), requires_grad=False)

        def forward(self, images):
            return self.head(images.flatten(1))[:, self.order]

    before, after = parts.build(Ordered), learn(few, module=parts.build(Ordered))
    assert torch.equal(after.order, before.order)
    assert not torch.equal(after.head.weight, before.head.weight)


def test_a_forward_that_needs_contiguous_images_trains(few):
    assert not learn(few, module=parts.build(parts.Depthwise)).training


def test_outputs_come_in_the_order_of_the_examples(few):
    module = model()
    assert torch.allclose(outputs(module, few, "asking", batch=100), module(few.train.inputs), atol=1e-5)
