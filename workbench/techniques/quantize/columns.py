"""Inputs whose columns are of very different ranges: one scale for all of them rounds the small ones away."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from workbench.graph import layer_of
from workbench.graph.layers import weights_of
from workbench.techniques.quantize.calls import CONVOLUTIONS, LINEAR
from workbench.techniques.quantize.constants import is_constant
from workbench.techniques.quantize.sample import relative_distance, spread_of
from workbench.workload import Inputs, rows

aten = torch.ops.aten
_RECURRENT = (aten.gru.input, aten.lstm.input)
_CHANNELS_AT = {**dict.fromkeys((LINEAR, *_RECURRENT), -1), **dict.fromkeys(CONVOLUTIONS, 1)}
_STEPS = 255
_EXAMPLES, _ROWS = 64, 256
_BULK = (0.05, 0.95)
_TOO_MUCH = 0.1
"""Of the spread of a layer's output: ten times what rounding to 255 steps costs where columns are alike."""


@dataclass(frozen=True)
class Columns:
    """The smallest and largest range that columns of a layer's input have, without the twentieth at either end."""

    smallest: float
    largest: float

    def __str__(self) -> str:
        return (
            f"the ranges of its inputs differ, from {self.smallest:.2g} to {self.largest:.2g}: one scale for all would "
            "round the small ones away"
        )


@torch.no_grad()
def unlike_columns(graph: torch.fx.GraphModule, inputs: Inputs, *, convolutions: bool) -> dict[str, Columns]:
    """The layers that are first to see the model's inputs and whose output rounding to one scale would spoil.

    ``convolutions``: they are asked too, not linear and recurrent layers alone.
    """
    first = _FirstCalls(graph)
    first.run(*(each.clone() for each in rows(inputs, slice(_EXAMPLES))))
    found = {}
    for node, values, others in first.calls:
        asked = convolutions or node.target not in CONVOLUTIONS
        if asked and (layer := layer_of(node)) and (columns := _spoiled(node, values, others)):
            found[layer] = columns
    return found


class _FirstCalls(torch.fx.Interpreter):
    """Runs a graph up to its first linear, recurrent and convolution calls, which it notes with their operands."""

    def __init__(self, graph: torch.fx.GraphModule) -> None:
        super().__init__(graph)
        self.calls: list[tuple[torch.fx.Node, torch.Tensor, tuple]] = []

    def run_node(self, node: torch.fx.Node):
        if any(self.env[source] is None for source in node.all_input_nodes):
            return None
        if node.target not in _CHANNELS_AT:
            return super().run_node(node)
        values, *others = self.fetch_args_kwargs_from_env(node)[0]
        if all(map(is_constant, weights_of(node))):
            self.calls.append((node, values, tuple(others)))
        return None


def _spoiled(node: torch.fx.Node, values: torch.Tensor, others: tuple) -> Columns | None:
    """The ranges of the columns of ``values``, if rounding them all to 255 steps changes too much of the output."""
    rows = values.movedim(_CHANNELS_AT[node.target], -1).flatten(0, -2)
    rows = rows[:: max(1, len(rows) // _ROWS)]
    low, high = torch.quantile(rows, torch.tensor(_BULK), dim=0)
    ranges = (high - low)[high > low]
    if not len(ranges):
        return None
    step = (high.max() - low.min()) / _STEPS
    exact = _made(node, values, others)
    moved = _made(node, (values / step).round() * step, others)
    spoiled = relative_distance(moved, exact) > _TOO_MUCH * (spread_of(exact) or math.inf)
    return Columns(float(ranges.min()), float(ranges.max())) if spoiled else None


def _made(node: torch.fx.Node, values: torch.Tensor, others: tuple) -> torch.Tensor:
    """The call's output; of a recurrent one that of all steps."""
    made = node.target(values, *others)
    return made[0] if node.target in _RECURRENT else made
