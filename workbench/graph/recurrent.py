"""GRU and LSTM layers whose products are of bytes: functions that quantized graphs call in place of PyTorch's own.

An exported graph has such a layer as one call, whose states nothing outside can round. These functions take what
``aten.gru.input`` and ``aten.lstm.input`` take and give what they give, but that each state is rounded to eight bits
before it is multiplied; the state that a step hands on stays as it is. States lie within −1 and 1: a GRU's is a mean of
a tanh and the state before, an LSTM's a sigmoid times a tanh. So all have one range, known beforehand. Whoever exports
a graph again gets plain operations, step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")

STATE_STEP, STATE_ZERO_POINT = 1 / 127, 128
"""How states are rounded: −1, 0 and 1 have bytes of their own."""
_Cell = Callable[[list["torch.Tensor"], "torch.Tensor", "torch.Tensor"], list["torch.Tensor"]]
"""From the states before, what the input brings to all gates and what the state does, to the states after."""


def gru_of_bytes(
    x: torch.Tensor,
    start: torch.Tensor,
    parameters: Sequence[torch.Tensor],
    has_biases: bool,
    levels: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
    *,
    plain: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """As ``aten.gru.input``; ``x`` and ``parameters`` are rounded already.

    ``plain``: states are rounded in PyTorch's own operations, for an interpreter that knows no others.
    """
    outputs, last = _levels(_gru_step, x, [start], parameters, has_biases, levels, bidirectional, batch_first, plain)
    return outputs, last[0]


def lstm_of_bytes(
    x: torch.Tensor,
    start: Sequence[torch.Tensor],
    parameters: Sequence[torch.Tensor],
    has_biases: bool,
    levels: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
    *,
    plain: bool = False,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """As ``aten.lstm.input``; see :func:`gru_of_bytes`."""
    outputs, last = _levels(_lstm_step, x, start, parameters, has_biases, levels, bidirectional, batch_first, plain)
    return outputs, *last


def _levels(
    step: _Cell,
    x: torch.Tensor,
    start: Sequence[torch.Tensor],
    parameters: Sequence[torch.Tensor],
    has_biases: bool,
    levels: int,
    bidirectional: bool,
    batch_first: bool,
    plain: bool,
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """What all steps give, and the states [levels · directions, batch, units] after the last."""
    directions, each = 1 + bidirectional, 4 if has_biases else 2
    steps_at = 1 if batch_first else 0
    last = []
    for level in range(levels):
        made = []
        for direction in range(directions):
            number = level * directions + direction
            weight_in, weight, *biases = parameters[number * each : (number + 1) * each]
            bias_in, bias = biases or (None, None)
            entering = torch.nn.functional.linear(x, weight_in, bias_in).unbind(steps_at)
            states, given = [state[number] for state in start], []
            for each_entering in reversed(entering) if direction else entering:
                recurring = torch.nn.functional.linear(_rounded(states[0], plain), weight, bias)
                states = step(states, each_entering, recurring)
                given.append(states[0])
            made.append(torch.stack(given[::-1] if direction else given, steps_at))
            last.append(states)
        outputs = torch.cat(made, -1) if bidirectional else made[0]
        x = _rounded(outputs, plain) if level < levels - 1 else outputs
    return x, [torch.stack(states) for states in zip(*last, strict=True)]


def _gru_step(states: list[torch.Tensor], entering: torch.Tensor, recurring: torch.Tensor) -> list[torch.Tensor]:
    """https://pytorch.org/docs/stable/generated/torch.nn.GRU.html"""
    [state] = states
    (reset_in, update_in, new_in), (reset, update, new) = entering.chunk(3, -1), recurring.chunk(3, -1)
    candidate = torch.tanh(new_in + torch.sigmoid(reset_in + reset) * new)
    return [candidate + torch.sigmoid(update_in + update) * (state - candidate)]


def _lstm_step(states: list[torch.Tensor], entering: torch.Tensor, recurring: torch.Tensor) -> list[torch.Tensor]:
    """https://pytorch.org/docs/stable/generated/torch.nn.LSTM.html"""
    _, memory = states
    taken, kept, new, shown = (entering + recurring).chunk(4, -1)
    memory = torch.sigmoid(kept) * memory + torch.sigmoid(taken) * torch.tanh(new)
    return [torch.sigmoid(shown) * torch.tanh(memory), memory]


def _rounded(states: torch.Tensor, plain: bool) -> torch.Tensor:
    if plain:
        numbers = torch.round(states * (1 / STATE_STEP)) + STATE_ZERO_POINT
        return (numbers.clamp(0, 255) - STATE_ZERO_POINT) * STATE_STEP
    from torch.ao.quantization.fx import _decomposed  # noqa: F401  makes the operations

    quantized, as_bytes = torch.ops.quantized_decomposed, (STATE_STEP, STATE_ZERO_POINT, 0, 255, torch.uint8)
    return quantized.dequantize_per_tensor(quantized.quantize_per_tensor(states, *as_bytes), *as_bytes)
