"""Reading GRU and LSTM layers: what enters the gates is one product for all time steps, the steps come after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.graph.fused.ir import Quant, Value
from workbench.graph.fused.nodes import unknown
from workbench.graph.fused.ops import Concat, Convert, Recurrent
from workbench.graph.fused.read.operators import reads
from workbench.graph.fused.read.ranges import QuantizedWeight, Rounded
from workbench.graph.fused.read.views import BATCH, View, seen, simple, view_of
from workbench.graph.recurrent import STATE_STEP, STATE_ZERO_POINT, gru_of_bytes, lstm_of_bytes
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


@dataclass(frozen=True)
class States:
    """What a layer ends with [levels · directions, batch, hidden], each part where the output of its level has it."""

    parts: tuple[Value | View, ...]


@dataclass(frozen=True)
class CellStates:
    """What the cells of this LSTM end with: no kernel keeps it."""

    of: torch.fx.Node


class RecurrentOps:
    """The part of the reader that knows recurrent layers."""

    @reads("aten.gru.input", views=True)
    def _gru(self, node, x, start, weights, *settings):
        return self._recurrent(node, "gru", x, [start], weights, *settings)

    @reads("aten.lstm.input", views=True)
    def _lstm(self, node, x, start, weights, *settings):
        return [*self._recurrent(node, "lstm", x, start, weights, *settings), CellStates(node)]

    @reads(gru_of_bytes, views=True)
    def _gru_of_bytes(self, node, x, start, weights, *settings):
        return self._recurrent(node, "gru", x, [start], weights, *settings, in_bytes=True)

    @reads(lstm_of_bytes, views=True)
    def _lstm_of_bytes(self, node, x, start, weights, *settings):
        return [*self._recurrent(node, "lstm", x, start, weights, *settings, in_bytes=True), CellStates(node)]

    def _recurrent(
        self, node, cell, x, start, weights, has_biases, levels, dropout, train, bidirectional, batch_first, *,
        in_bytes=False,
    ):  # fmt: skip
        directions = 2 if bidirectional else 1
        each = 4 if has_biases else 2
        if any(state.any() for state in start):
            raise unknown(node, "from a state that isn't zero")
        if train and dropout and levels > 1:
            raise unknown(node, "with dropout that is on whatever the model's mode")
        if len(weights) != each * levels * directions:
            raise unknown(node, "with projections of its state")
        order = [0, 1, 2] if batch_first else [1, 0, 2]
        own_range = isinstance(x, Rounded)
        x, states = simple(seen(node, x.source if own_range else x).permuted(order)), []
        x = Rounded(x) if own_range else x
        of_direction = [weights[first : first + each] for first in range(0, len(weights), each)]
        for level in range(levels):
            if level and in_bytes:
                x = self._mapped(node, Convert, x, Quant(STATE_STEP, STATE_ZERO_POINT))
            x = self._level(node, cell, x, of_direction[level * directions : (level + 1) * directions], in_bytes)
            states += _last_states(x, directions)
        return [simple(seen(node, x).permuted(order)), States(tuple(states))]

    def _level(self, node, cell, x, directions: list[list], in_bytes: bool) -> Value:
        entering, recurrent, *biases = zip(*directions, strict=True)
        bias_in, bias = map(torch.cat, biases) if biases else (None, torch.zeros(sum(map(_rows, recurrent))))
        projected = self._as_value(node, self._linear(node, x, _side_by_side(entering), bias_in))
        weight = _side_by_side(recurrent)
        quantized = isinstance(weight, QuantizedWeight)
        if in_bytes and not quantized:
            raise unknown(node, "by weights of floats")
        values = (weight.values if quantized else weight.float()).unflatten(0, (len(directions), -1))
        shape = values.shape[:2]
        return self._add_op(
            node, Recurrent, [projected], Value((projected.shape[0], shape[0] * values.shape[2])), cell=cell,
            weight=values.contiguous().numpy(), bias=bias.float().view(shape).numpy(),
            steps=weight.steps.view(shape).numpy() if quantized else None, state_in_bytes=in_bytes,
        )  # fmt: skip

    def _stacked(self, node, states: States) -> View:
        """The states in memory of their own, where there are several."""
        values = [self._as_value(node, part) for part in states.parts]
        hidden = values[0].shape[0]
        made = values[0]
        if len(values) > 1:
            made = self._add_op(node, Concat, values, Value((len(values) * hidden,)))
        return view_of(made).reshaped([BATCH, len(values), hidden]).permuted([1, 0, 2])


def _last_states(steps: Value, directions: int) -> list[Value | View]:
    """Where the output of a level holds what each direction came to: in its last row, and in its first."""
    view = view_of(steps)
    rows, width = steps.shape
    hidden = width // directions
    ends = (rows - 1, 0)[:directions]
    return [simple(view.at(1, end).between(1, n * hidden, (n + 1) * hidden)) for n, end in enumerate(ends)]


def _rows(weight: torch.Tensor | QuantizedWeight) -> int:
    return len(weight.values if isinstance(weight, QuantizedWeight) else weight)


def _side_by_side(weights: tuple) -> torch.Tensor | QuantizedWeight:
    """The outputs of several weights as those of one; of eight bits where all are."""
    if all(isinstance(weight, QuantizedWeight) and weight.bits == 8 and not weight.group_size for weight in weights):
        return QuantizedWeight(*(torch.cat([getattr(w, part) for w in weights]) for part in ("values", "steps")))
    return torch.cat([weight.floats() if isinstance(weight, QuantizedWeight) else weight for weight in weights])
