"""How layers are narrowed that torch-pruning doesn't know well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch_pruning.pruner.function import BasePruningFunc, BatchnormPruner

RECURRENT = (nn.RNN, nn.LSTM, nn.GRU)


def state_stays(layer: nn.RNNBase) -> str | None:
    """Why no unit of a recurrent layer's state may go; ``None`` where some may."""
    if layer.bidirectional:
        return "its channels are the states of a recurrent layer that reads both ways, which stay"
    if layer.proj_size:
        return "its channels are the projected state of a recurrent layer, which stays"
    return None


def gates_of(layer: nn.RNNBase) -> int:
    """How many rows its weights have for each unit."""
    return len(layer.weight_hh_l0) // layer.hidden_size


def takes_state(name: str) -> bool:
    """Whether a recurrent layer's parameter multiplies states: its own, or those of the level before."""
    return name.startswith("weight") and not name.startswith("weight_ih_l0")


class _RecurrentPruner(BasePruningFunc):
    """Takes inputs from a recurrent layer's first level, or units from the state of all of its levels."""

    def prune_in_channels(self, layer: nn.RNNBase, idxs: Sequence[int]) -> nn.RNNBase:
        keep = [channel for channel in range(layer.input_size) if channel not in set(idxs)]
        for name, weight in list(layer.named_parameters()):
            if name.startswith("weight_ih_l0"):
                setattr(layer, name, self._prune_parameter_and_grad(weight, keep, 1))
        layer.input_size = len(keep)
        return layer

    def prune_out_channels(self, layer: nn.RNNBase, idxs: Sequence[int]) -> nn.RNNBase:
        keep = [unit for unit in range(layer.hidden_size) if unit not in set(idxs)]
        rows = [gate * layer.hidden_size + unit for gate in range(gates_of(layer)) for unit in keep]
        for name, weight in list(layer.named_parameters()):
            smaller = self._prune_parameter_and_grad(weight, rows, 0)
            if takes_state(name):
                smaller = self._prune_parameter_and_grad(smaller, keep, 1)
            setattr(layer, name, smaller)
        layer.hidden_size = len(keep)
        return layer

    def get_in_channels(self, layer: nn.RNNBase) -> int:
        return layer.input_size

    def get_out_channels(self, layer: nn.RNNBase) -> int:
        return layer.hidden_size


PRUNERS: dict[type, BasePruningFunc] = {
    **{kind: _RecurrentPruner() for kind in RECURRENT},
    # torch-pruning's own for these forgets their running statistics
    **{kind: BatchnormPruner() for kind in (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)},
}


class _OneOperation(torch.autograd.Function):
    """A recurrent layer as one operation of its input: the dozens it consists of say nothing of channels."""

    @staticmethod
    def forward(context: Any, layer: nn.RNNBase, inputs: torch.Tensor, *state: torch.Tensor):
        given = (state if isinstance(layer, nn.LSTM) else state[0]) if state else None
        outputs, last = type(layer).forward(layer, inputs, given)
        return outputs, *(last if isinstance(last, tuple) else (last,))


@contextmanager
def as_one_operation(module: nn.Module) -> Iterator[None]:
    """Have the autograd graph of each recurrent layer in ``module`` be a single node."""
    layers = [layer for layer in module.modules() if type(layer) in RECURRENT]

    def forward_of(layer: nn.RNNBase):
        def forward(inputs: torch.Tensor, state: Any = None):
            given = () if state is None else state if isinstance(state, tuple) else (state,)
            # The layer is in the graph also where it comes first, before anything that has a gradient.
            followed = inputs if inputs.requires_grad else inputs.detach().requires_grad_()
            outputs, *last = _OneOperation.apply(layer, followed, *given)
            return outputs, tuple(last) if isinstance(layer, nn.LSTM) else last[0]

        return forward

    for layer in layers:
        layer.forward = forward_of(layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward
