"""GRU and LSTM calls as products of bytes: see :mod:`workbench.graph.recurrent`."""

from __future__ import annotations

import torch

from workbench.graph import layer_of
from workbench.graph.recurrent import gru_of_bytes, lstm_of_bytes
from workbench.precisions import Integers
from workbench.techniques.quantize.calls import Takes
from workbench.techniques.quantize.constants import constant_of, is_constant
from workbench.techniques.quantize.weight_only import weights_quantized

aten = torch.ops.aten
_OF_BYTES = {aten.gru.input: gru_of_bytes, aten.lstm.input: lstm_of_bytes}
_ZEROS = (aten.zeros.default, aten.zeros_like.default, aten.new_zeros.default)


def with_a_form(graph: torch.fx.GraphModule, takes: Takes) -> list[torch.fx.Node]:
    """The recurrent calls of the layers that ``takes`` names.

    Without those of a layer of which one begins with states that may be of any range, projects its states, or has a
    number of steps that isn't known.
    """
    calls = [node for node in graph.graph.nodes if node.target in _OF_BYTES and takes(layer_of(node))]
    without = {layer_of(node) for node in calls if not _has_form(graph, node)}
    return [node for node in calls if layer_of(node) not in without]


def in_bytes(graph: torch.fx.GraphModule, calls: list[torch.fx.Node], formats: Integers) -> None:
    """Round the weights of ``calls`` to ``formats``, their states to eight bits, in place; not what they are given."""
    layers = {layer_of(node) for node in calls}
    weights_quantized(graph, formats, group_size=0, takes=layers.__contains__, rounded_by={})
    for node in calls:
        node.target = _OF_BYTES[node.target]
    graph.recompile()


def is_of_bytes(node: torch.fx.Node) -> bool:
    """Whether :func:`in_bytes` made it."""
    return node.target in _OF_BYTES.values()


def _has_form(graph: torch.fx.GraphModule, node: torch.fx.Node) -> bool:
    _, start, parameters, has_biases, levels, dropout, train, bidirectional, batch_first = node.args
    states = [start] if isinstance(start, torch.fx.Node) else start
    steps = node.meta["val"][0].shape[1 if batch_first else 0]
    return (
        all(_is_zero(graph, state) for state in states)
        and len(parameters) == (4 if has_biases else 2) * levels * (2 if bidirectional else 1)
        and isinstance(steps, int)
        and not (train and dropout and levels > 1)
    )


def _is_zero(graph: torch.fx.GraphModule, state: torch.fx.Node) -> bool:
    return state.target in _ZEROS or (is_constant(state) and not constant_of(graph, state).any())
