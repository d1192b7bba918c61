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
from workbench.receipt import Quality
from workbench.tasks import losses
from workbench.techniques import Context
from workbench.techniques._training import Plan, learning, loss_for, outputs, train
from workbench.workload import Data

PLAN = Plan("prune", epochs=2, learning_rate=0.01)


def model():
    return parts.build(lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)))


def learn(context, plan=PLAN, module=None):
    module = module or model()
    train(module, plan, context, lambda logits, rows: functional.cross_entropy(logits, context.train.targets[rows]))
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


def test_judging_on_the_way_takes_a_twentieth_of_the_time_and_changes_no_weight(few, monkeypatch):
    seconds, judged = iter(range(10**6)), []
    clock = SimpleNamespace(monotonic=lambda: sum(judged) + next(seconds) * 0.01)
    monkeypatch.setattr("workbench.techniques._training.time", clock)

    def judge(module: nn.Module) -> Quality:
        module.eval()(few.train.inputs[0][:8])
        module.train()
        judged.append(0.05)
        return Quality(value=0.5, low=0.4, high=0.6, n=8, metric="accuracy", title="accuracy", better="higher")

    points, plan = [], dataclasses.replace(PLAN, epochs=40)
    loss_of = lambda logits, rows: functional.cross_entropy(logits, few.train.targets[rows])  # noqa: E731
    module = model()
    train(module, plan, dataclasses.replace(few, curve=points.append), loss_of, judge=judge)
    told = [point.quality for point in points if point.quality]
    assert len(told) == len(judged) > 1
    assert sum(judged) < clock.monotonic() / 20
    assert parts.same_weights(module, learn(few, plan))


def test_a_loss_that_explodes_is_told_with_the_learning_rate(few):
    context = dataclasses.replace(few, train=Data(few.train.inputs[0] * float("inf"), few.train.targets))
    with pytest.raises(WorkbenchError, match=r"prune diverged: .* smaller learning rate than 0.01"):
        learn(context)


def test_a_single_example_is_not_enough_to_train_on(few):
    context = dataclasses.replace(few, train=Data(few.train.inputs[0][:1], few.train.targets[:1]))
    with pytest.raises(WorkbenchError, match="at least 2 training examples, not 1"):
        learn(context)


@pytest.mark.parametrize(
    ("targets", "told"),
    [
        (torch.zeros(1024), r"no metric fits outputs of shape \[2, 10\] and targets of float32 \[1024\]"),
        (torch.zeros(1024, 7), "no metric fits"),
        (torch.arange(1024) % 11, "target 10 at index 10 is outside 0…9"),
        (torch.arange(1024) % 2 - 1, "target -1 at index 0 is outside"),
    ],
)
def test_targets_that_nothing_fits_are_refused(few, targets, told):
    context = dataclasses.replace(few, train=Data(few.train.inputs, targets))
    with pytest.raises(WorkbenchError, match=f"prune trains, and {told}"):
        loss_for(model(), context, "prune")


def test_a_loss_that_was_chosen_has_to_fit_the_targets(few):
    context = dataclasses.replace(few, loss=losses.find("mse"))
    with pytest.raises(WorkbenchError, match=r"prune trains, and mse needs .* finetune_epochs 0"):
        loss_for(model(), context, "prune")


@pytest.mark.parametrize(
    ("width", "targets", "name"),
    [
        (10, torch.arange(64) % 10, "cross-entropy"),
        (1, torch.rand(64), "mse"),
        (4, torch.rand(64, 4) > 0.5, "binary"),
        (10, None, "cross-entropy"),
    ],
)
def test_the_loss_goes_by_the_targets(width, targets, name):
    module = nn.Linear(6, width)
    assert loss_for(module, Context(train=Data(torch.rand(64, 6), targets)), "prune").name == name


def test_without_targets_a_model_learns_from_a_teacher():
    torch.manual_seed(0)  # of twelve seeds two leave 51 %
    teacher, module = nn.Linear(6, 3), nn.Linear(6, 3)
    context = Context(train=Data(torch.randn(256, 6, generator=torch.Generator().manual_seed(0))))
    loss_of = learning(losses.find("mse"), context, lambda: outputs(teacher, context, "asking"))
    apart = lambda: float((module(context.train.inputs[0]) - teacher(context.train.inputs[0])).norm())  # noqa: E731
    before = apart()
    train(module, Plan("prune", epochs=5, learning_rate=0.05), context, loss_of)
    assert apart() < 0.5 * before


@pytest.mark.parametrize("examples", [2, 5, 300, 600])
def test_any_number_of_examples_trains(few, examples):
    context = dataclasses.replace(few, train=Data(few.train.inputs[0][:examples], few.train.targets[:examples]))
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
    (found,) = outputs(module, few, "asking", batch=100).inputs
    assert torch.allclose(found, module(few.train.inputs[0]), atol=1e-5)
