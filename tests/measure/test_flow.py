"""Which way the outputs of layers take, told by watching one call."""

from __future__ import annotations

import itertools

import torch
from torch import nn

from workbench.layer import INPUT, OUTPUT
from workbench.measure.flow import flow


class Residual(nn.Module):
    """Two layers and a way around them."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.out = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        kept = torch.relu(self.first(x))
        return self.out(self.second(kept).add_(kept))


class Twice(nn.Module):
    """A layer called again and again, as in a loop over time."""

    def __init__(self):
        super().__init__()
        self.cell = nn.Linear(4, 4)
        self.out = nn.Linear(4, 2)

    def forward(self, x):
        for _ in range(3):
            x = torch.tanh(self.cell(x))
        return {"answer": self.out(x)}


def test_layers_follow_one_another_through_what_holds_no_parameters(model, inputs):
    found = flow(model, (inputs[:1],))
    names = [INPUT, "0", "1", "4", "7", "9", OUTPUT]
    assert list(found.nodes) == names
    assert list(found.edges) == list(itertools.pairwise(names))
    assert found.joins == {}


def test_where_outputs_meet_the_operation_is_a_node():
    found = flow(Residual(), (torch.randn(1, 4),))
    assert found.joins == {"(add 1)": "add"}
    assert {("first", "(add 1)"), ("second", "(add 1)"), ("(add 1)", "out")} <= set(found.edges)


def test_an_attention_is_one_layer_and_meets_what_goes_around_it():
    block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).train()  # in eval mode it is one fused operation
    found = flow(block, (torch.randn(1, 3, 8),))
    assert ("self_attn", "(add 1)") in found.edges
    assert (INPUT, "(add 1)") in found.edges


def test_a_layer_that_is_called_again_is_one_node_and_nothing_goes_back():
    found = flow(Twice(), (torch.randn(1, 4),))
    assert list(found.edges) == [(INPUT, "cell"), ("cell", "out"), ("out", OUTPUT)]


def test_inputs_that_no_layer_has_seen_meet_too():
    class Sum(nn.Module):
        def forward(self, left, right):
            return left + right

    found = flow(Sum(), (torch.randn(1, 4), torch.randn(1, 4)))
    assert list(found.edges) == [(INPUT, OUTPUT)]  # one node stands for all inputs


def test_watching_leaves_no_hooks_behind(model, inputs):
    flow(model, (inputs[:1],))
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in model.modules())
