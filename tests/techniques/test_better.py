from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.techniques import parts
from workbench.errors import Cancelled
from workbench.tasks import losses, metrics
from workbench.techniques import Context
from workbench.techniques._better import refereed
from workbench.techniques.prune import Prune
from workbench.variant import Variant
from workbench.workload import Data

ACCURACY = metrics.find("accuracy")


def separable(examples: int = 1000) -> Data:
    inputs = torch.randn(examples, 4, generator=torch.Generator().manual_seed(0))
    return Data(inputs, inputs.argmax(1))


def right() -> nn.Module:
    """Scores that are the inputs: always right."""
    module = nn.Linear(4, 4)
    with torch.no_grad():
        module.weight.copy_(torch.eye(4))
        module.bias.zero_()
    return module.eval()


def spoilt(module: nn.Module) -> None:
    with torch.no_grad():
        module.weight.neg_()


def test_every_tenth_example_judges_and_none_of_them_is_trained_on():
    data = separable()
    rest, referee = refereed(Context(data, metric=ACCURACY), right())
    assert (len(rest.train), len(referee.aside)) == (900, 100)
    everything = torch.cat([rest.train.inputs[0], referee.aside.inputs[0]])
    assert torch.equal(everything.sort(0).values, data.inputs[0].sort(0).values)


def test_of_many_examples_a_thousand_from_all_over_judge():
    rest, referee = refereed(Context(separable(30_030), metric=ACCURACY), right())
    assert 900 < len(referee.aside) <= 1000
    assert len(rest.train) + len(referee.aside) == 30_030


def test_few_examples_are_all_trained_on():
    context = Context(separable(400), metric=ACCURACY)
    assert refereed(context, right()) == (context, None)


def test_what_training_made_worse_is_undone_and_said_in_figures():
    module = right()
    _, referee = refereed(Context(separable(), metric=ACCURACY), module)
    before = copy.deepcopy(module)
    told = referee.better(module, lambda: spoilt(module))
    assert parts.same_weights(module, before)
    assert "made accuracy worse" in told
    assert "after 100.00 % on 100 training examples" in told


def test_a_glance_tells_the_figure_with_its_interval_and_leaves_a_model_in_training():
    module = right().train()
    _, referee = refereed(Context(separable(), metric=ACCURACY), module)
    sure = referee.glance(module)
    assert (sure.value, sure.low, sure.high, sure.n, sure.metric) == (1.0, 1.0, 1.0, 100, "accuracy")
    assert module.training
    with torch.no_grad():
        module.weight[0].neg_()
    unsure = referee.glance(module)
    assert unsure.low < unsure.value < unsure.high < 1


def test_what_training_made_better_stays():
    module = right()
    spoilt(module)
    _, referee = refereed(Context(separable(), metric=ACCURACY), module)
    assert referee.better(module, lambda: spoilt(module)) is None
    assert parts.same_weights(module, right())


def test_judging_stops_where_a_run_was_cancelled():
    _, referee = refereed(Context(separable(), metric=ACCURACY, checkpoint=parts.CancelAfter(0)), right())
    with pytest.raises(Cancelled):
        referee.better(right(), lambda: None)


def test_without_targets_the_untouched_model_s_outputs_judge():
    module = right()
    data = Data(separable().inputs)
    _, referee = refereed(Context(data), copy.deepcopy(module))
    assert referee.metric.compares_with_untouched
    assert "worse" in referee.better(module, lambda: spoilt(module))


def test_a_fine_tuning_that_harms_leaves_the_pruned_weights_and_a_notice():
    away = losses.of(lambda outputs, targets: -functional.cross_entropy(outputs, targets))
    context = Context(separable(), loss=away, metric=ACCURACY)
    pruned, harmed = (
        Prune(kind="weights", amount=0.1, finetune_epochs=epochs, learning_rate=0.1).apply(Variant(right()), context)
        for epochs in (0, 1)
    )
    assert parts.same_weights(harmed.module, pruned.module)
    assert "fine-tuning made accuracy worse" in harmed.notices[0]
    assert not pruned.notices
