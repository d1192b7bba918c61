"""How layers are narrowed that torch-pruning doesn't know well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch_pruning.pruner.function import BasePruningFunc, BatchnormPruner

RECURRENT = (nn.RNN, nn.LSTM, nn.GRU)


class _RecurrentPruner(BasePruningFunc):
    """Takes inputs from a recurrent layer's first level; its state stays as it is."""

    def prune_in_channels(self, layer: nn.RNNBase, idxs: Sequence[int]) -> nn.RNNBase:
        keep = [channel for channel in range(layer.input_size) if channel not in set(idxs)]
        for name, weight in list(layer.named_parameters()):
            if name.startswith("weight_ih_l0"):
                setattr(layer, name, self._prune_parameter_and_grad(weight, keep, 1))
        layer.input_size = len(keep)
        return layer

    def prune_out_channels(self, layer: nn.RNNBase, idxs: Sequence[int]) -> nn.RNNBase:
        raise NotImplementedError("the state of a recurrent layer isn't narrowed")

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
            outputs, *last = _OneOperation.apply(layer, inputs, *given)
            return outputs, tuple(last) if isinstance(layer, nn.LSTM) else last[0]

        return forward

    for layer in layers:
        layer.forward = forward_of(layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward
