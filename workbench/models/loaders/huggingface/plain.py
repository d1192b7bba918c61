"""Models of transformers in plain layers of torch, which techniques, engines and kernels know."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

from torch import nn
from transformers import PreTrainedModel, activations
from transformers.pytorch_utils import Conv1D


def plain(model: nn.Module) -> nn.Module:
    """The model with torch's layers for those that compute the same, and without a cache of keys and values.

    Itself where there is nothing to change. Layers and parameters keep their names, and what isn't replaced shares its
    weights with the model given.
    """
    if not (any(_known(model)) or any(_caching(model))):
        return model
    model = copy.deepcopy(model, {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())})
    for part in _caching(model):
        part.config.use_cache = False
    made: dict[nn.Module, nn.Module] = {}
    for name, layer in list(_known(model)):
        if layer not in made:
            made[layer] = _COUNTERPARTS[type(layer)](layer).train(layer.training)
        model.set_submodule(name, made[layer])
    return model


def _caching(model: nn.Module) -> Iterator[PreTrainedModel]:
    """The parts that also give keys and values for a next call, which nothing here makes."""
    for part in model.modules():
        if isinstance(part, PreTrainedModel) and getattr(part.config, "use_cache", False):
            yield part


def _known(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, layer in model.named_modules(remove_duplicate=False):
        if name and type(layer) in _COUNTERPARTS:
            yield name, layer


def _linear(layer: Conv1D) -> nn.Linear:
    """GPT's linear layer, whose weight is [inputs, outputs]."""
    linear = nn.Linear(layer.nx, layer.nf, device="meta")
    linear.weight = nn.Parameter(layer.weight.detach().T.contiguous(), layer.weight.requires_grad)
    linear.bias = layer.bias
    return linear


def _gelu(layer: nn.Module) -> nn.GELU:
    return nn.GELU(approximate="tanh")


_COUNTERPARTS: dict[type[nn.Module], Callable[[nn.Module], nn.Module]] = {
    Conv1D: _linear,
    activations.NewGELUActivation: _gelu,
    activations.FastGELUActivation: _gelu,
    activations.SiLUActivation: lambda layer: nn.SiLU(),
    activations.LinearActivation: lambda layer: nn.Identity(),
}
