from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.techniques.architectures import CASES
from workbench.techniques import Context
from workbench.techniques.prune import Prune
from workbench.variant import Variant
from workbench.workload import Data

OUTPUTS = "all its outputs stay: they are the model's"


def pruned(module, inputs, **options):
    context = Context(train=Data(inputs, torch.zeros(len(inputs), dtype=torch.int64)))
    return Prune(finetune_epochs=0, **options).apply(Variant(module), context)


def weights(module):
    return sum(weight.numel() for weight in module.parameters())


def ties(module):
    """For each name of a weight the first that stands for the same."""
    first = {}
    return [first.setdefault(weight, name) for name, weight in module.named_parameters(remove_duplicate=False)]


@pytest.mark.parametrize("criterion", ["l1", "l2", "random"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_usual_architecture_becomes_smaller_and_runs_at_any_batch(case, criterion):
    module, inputs = case.module(), case.inputs()
    smaller = pruned(module, inputs, criterion=criterion).module
    assert weights(smaller) < weights(module)
    assert ties(smaller) == ties(module)
    for batch in (1, 2, 5):
        assert smaller(inputs[:batch]).shape == module(inputs[:batch]).shape


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_layers_that_keep_their_channels_say_why_and_all_others_lose_some(case):
    module = case.module()
    variant = pruned(module, case.inputs())
    assert {layer: why for layer, why in variant.unchanged.items() if why != OUTPUTS} == case.kept
    for name, layer in module.named_modules():
        now = variant.module.get_submodule(name)
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear) and name != "attention.out_proj":
            assert (len(now.weight) == len(layer.weight)) == (name in variant.unchanged), name
        if isinstance(layer, nn.RNNBase):
            assert (now.hidden_size == layer.hidden_size) == (name in variant.unchanged), name


NORMED_OVER_CHANNELS = {"a ConvNeXt block"}
"""A norm over channels gives others where some that are zero go."""


@torch.no_grad()
def with_dead_channels(module):
    """Every other output of each layer is zero, the rest of some size, so that it's plain which half is to go."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.modules.conv._ConvNd):
            outputs = layer.weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else layer.weight
            for weight in [outputs, *([] if layer.bias is None else [layer.bias])]:
                if len(weight) >= 8:
                    weight[::2] *= 3
                    weight[1::2] = 0
        if isinstance(layer, nn.RNNBase) and not layer.bidirectional:  # a unit that nothing reaches stays at zero
            for weight in layer.parameters():
                weight.unflatten(0, (-1, layer.hidden_size))[:, 1::2] = 0
    return module


@pytest.mark.parametrize("name", [name for name in CASES if name not in NORMED_OVER_CHANNELS])
def test_cutting_channels_that_are_zero_changes_no_output(name):
    """Each layer after them has to lose just the weights for those: with any others gone, it gives something else."""
    module, inputs = with_dead_channels(CASES[name].module()), CASES[name].inputs()
    smaller = pruned(module, inputs).module
    assert weights(smaller) < weights(module)
    expected = module(inputs)
    # The same sums without their zeros: some eps, through a few layers.
    torch.testing.assert_close(smaller(inputs), expected, rtol=0, atol=1e-5 * float(expected.detach().abs().max()))
