"""Recurrent layers: torch's own where the weights are constant and it has the form, step by step otherwise."""

from __future__ import annotations

import numpy as np
import torch
from torch import fx, nn

from workbench.models.onnx_import.dtypes import tensor_of
from workbench.models.onnx_import.layers import has_constants
from workbench.models.onnx_import.scope import Scope, Unsupported, operator

_LAYERS = {"RNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}
_ORDER = {"RNN": [0], "GRU": [1, 0, 2], "LSTM": [0, 2, 3, 1]}
"""Where torch's gates are among those of ONNX: r, z, n among z, r, h; i, f, g, o among i, o, f, c."""
_ACTIVATIONS = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}


@operator("RNN", "GRU", "LSTM")
def _recurrent(scope: Scope) -> tuple[fx.Node, ...]:
    name, direction = scope.node.op_type, scope.attribute("direction", "forward")
    both = direction == "bidirectional"
    chosen = scope.attribute("activations") or _ACTIVATIONS[name] * (1 + both)
    if [_text(each) for each in chosen] != _ACTIVATIONS[name] * (1 + both):
        raise Unsupported("with other activations than the usual ones")
    if scope.attribute("input_forget", 0):
        raise Unsupported("with input_forget")
    clip, layout = scope.attribute("clip"), scope.attribute("layout", 0)
    reset_after = bool(scope.attribute("linear_before_reset", 0))
    as_torch = clip is None and not layout and direction != "reverse" and (name != "GRU" or reset_after)
    if (
        as_torch
        and has_constants(scope, 1, 3)
        and scope.constant(2) is not None
        and not scope.has(4)
        and not scope.has(7)
    ):
        return _layer(scope, name, both)
    tensors = (scope.tensor(index) for index in range(8))
    whole = scope.call(_run, *tensors, name, direction, clip, bool(layout), reset_after)
    return scope.parts(whole, 3 if name == "LSTM" else 2)


def _layer(scope: Scope, name: str, both: bool) -> tuple[fx.Node, ...]:
    weight, recurrent, bias = scope.constant(1), scope.constant(2), scope.constant(3)
    size = recurrent.shape[-1]
    layer = _LAYERS[name](weight.shape[-1], size, bias=bias is not None, bidirectional=both)
    for way, suffix in enumerate(["", "_reverse"][: len(weight)]):
        parts = {"weight_ih": weight[way], "weight_hh": recurrent[way]}
        if bias is not None:
            parts |= dict(zip(("bias_ih", "bias_hh"), np.split(bias[way], 2), strict=True))
        for key, array in parts.items():
            gates = np.split(array, len(_ORDER[name]))
            ordered = np.concatenate([gates[place] for place in _ORDER[name]])
            setattr(layer, f"{key}_l0{suffix}", nn.Parameter(tensor_of(ordered)))
    layer.flatten_parameters()
    hidden, cell = scope.tensor(5), scope.tensor(6)
    if name == "LSTM" and (hidden is None) != (cell is None):
        raise Unsupported("with one of the two initial states")
    start = (hidden, cell) if name == "LSTM" and hidden is not None else hidden
    outputs, last = scope.parts(scope.layer(layer, scope.tensor(0), start, weight=1), 2)
    steps = scope.call(_by_direction, outputs, len(weight))
    return (steps, *scope.parts(last, 2)) if name == "LSTM" else (steps, last)


def _by_direction(outputs, ways):
    """[steps, batch, directions x hidden] to [steps, directions, batch, hidden]."""
    return outputs.unflatten(-1, (ways, -1)).transpose(1, 2)


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _run(data, weight, recurrent, bias, lengths, hidden, cell, peepholes, name, direction, clip, batch_first, after):
    """Gives the hidden states of all steps [steps, directions, batch, hidden], and the last hidden and cell ones."""
    if batch_first:
        data = data.transpose(0, 1)
        hidden, cell = (None if each is None else each.transpose(0, 1) for each in (hidden, cell))
    size = recurrent.shape[-1]
    ways = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[direction]
    if lengths is None:
        lengths = torch.full((data.shape[1],), data.shape[0])
    states = []
    for way, backwards in enumerate(ways):
        start = [data.new_zeros(data.shape[1], size) if each is None else each[way] for each in (hidden, cell)]
        own = None if bias is None else bias[way]
        peep = None if peepholes is None else peepholes[way].chunk(3)
        states.append(
            _one_way(data, lengths, backwards, weight[way], recurrent[way], own, start, peep, name, clip, after)
        )
    outputs = torch.stack([each[0] for each in states], 1)
    last, last_cell = (torch.stack([each[index] for each in states]) for index in (1, 2))
    if batch_first:
        outputs, last, last_cell = outputs.permute(2, 0, 1, 3), last.transpose(0, 1), last_cell.transpose(0, 1)
    return outputs, last, last_cell


def _one_way(data, lengths, backwards, weight, recurrent, bias, start, peep, name, clip, after):
    gates = weight.shape[0]
    own, other = (data.new_zeros(gates), data.new_zeros(gates)) if bias is None else bias.split(gates)
    hidden, cell = start
    steps, outputs = range(data.shape[0]), [None] * data.shape[0]
    for step in reversed(steps) if backwards else steps:
        entering = data[step] @ weight.t() + own
        new_hidden, new_cell = _STEPS[name](entering, recurrent, other, hidden, cell, peep, clip, after)
        running = (step < lengths).unsqueeze(-1)
        outputs[step] = torch.where(running, new_hidden, torch.zeros_like(new_hidden))
        hidden, cell = torch.where(running, new_hidden, hidden), torch.where(running, new_cell, cell)
    return torch.stack(outputs), hidden, cell


def _limited(values, clip):
    return values if clip is None else values.clamp(-clip, clip)


def _rnn_step(entering, recurrent, bias, hidden, cell, peep, clip, after):
    return torch.tanh(_limited(entering + hidden @ recurrent.t() + bias, clip)), cell


def _gru_step(entering, recurrent, bias, hidden, cell, peep, clip, after):
    update_in, reset_in, new_in = entering.chunk(3, -1)
    update_by, reset_by, new_by = recurrent.chunk(3)
    update_bias, reset_bias, new_bias = bias.chunk(3)
    update = torch.sigmoid(_limited(update_in + hidden @ update_by.t() + update_bias, clip))
    reset = torch.sigmoid(_limited(reset_in + hidden @ reset_by.t() + reset_bias, clip))
    by_reset = reset * (hidden @ new_by.t() + new_bias) if after else (reset * hidden) @ new_by.t() + new_bias
    return (1 - update) * torch.tanh(_limited(new_in + by_reset, clip)) + update * hidden, cell


def _lstm_step(entering, recurrent, bias, hidden, cell, peep, clip, after):
    into, out, forget, new = (entering + hidden @ recurrent.t() + bias).chunk(4, -1)
    if peep is not None:
        into, forget = into + peep[0] * cell, forget + peep[2] * cell
    into, forget = torch.sigmoid(_limited(into, clip)), torch.sigmoid(_limited(forget, clip))
    cell = forget * cell + into * torch.tanh(_limited(new, clip))
    if peep is not None:
        out = out + peep[1] * cell
    return torch.sigmoid(_limited(out, clip)) * torch.tanh(cell), cell


_STEPS = {"RNN": _rnn_step, "GRU": _gru_step, "LSTM": _lstm_step}
