"""Which calls of an exported graph count as layers that multiply."""

from __future__ import annotations

import torch
from torch import nn

from workbench.graph import export
from workbench.graph.layers import in_graph


@torch.library.custom_op("layers_of_ones_own::linear", mutates_args=())
def halved(inputs: torch.Tensor) -> torch.Tensor:
    """No product, whatever its name."""
    return inputs / 2


@halved.register_fake
def _(inputs: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(inputs)


class Halving(nn.Module):
    def forward(self, inputs):
        return torch.ops.layers_of_ones_own.linear(inputs)


def test_an_operator_of_ones_own_is_no_layer_whatever_its_name():
    model = nn.Sequential(nn.Linear(4, 4), Halving()).eval()
    assert [layer.name for layer in in_graph(export(model, torch.rand(2, 4)).module().graph)] == ["0"]
