"""Weights that are computed of others at each call, computed once."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch.nn.utils import parametrize, prune, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from workbench.errors import WorkloadError
from workbench.plumbing.words import one_line

_FOLDED_BY: dict[type, Callable[[torch.nn.Module, str], object]] = {
    WeightNorm: remove_weight_norm,
    SpectralNorm: remove_spectral_norm,
    prune.BasePruningMethod: prune.remove,
}
"""What computes a weight in a hook before each call → what puts the weight itself in its place, by its name."""


def folded_parametrizations(module: torch.nn.Module) -> torch.nn.Module:
    """A copy in which weight norms, spectral norms and masks are plain weights; the module itself where there is none.

    Both kinds are known: ``torch.nn.utils.parametrize``'s, and the older ones that compute the weight in a hook before
    each call. In eval mode the copy's outputs are the module's.

    Raises
    ------
    WorkloadError
        The module can't be copied, or its weights can't be computed without a call.
    """
    if not any(_hooks(layer) or parametrize.is_parametrized(layer) for layer in module.modules()):
        return module
    try:
        plain = copy.deepcopy(module, {id(result): result.detach().clone() for result in _results(module)})
        for layer in plain.modules():
            _fold(layer)
    except Exception as error:  # a parametrization may be anything
        name = parametrize.type_before_parametrizations(module).__name__
        raise WorkloadError(
            f"{name} computes weights of others at each call and they can't be made plain: "
            f"{one_line(error)}; remove its parametrizations before giving it"
        ) from error
    return plain


def _results(module: torch.nn.Module) -> list[torch.Tensor]:
    """What layers keep of the weights computed last: results of other tensors, which can't be copied as they are."""
    kept = [value for layer in module.modules() for value in vars(layer).values()]
    tensors = [tensor for value in kept for tensor in (value if isinstance(value, list) else [value])]
    return [tensor for tensor in tensors if isinstance(tensor, torch.Tensor) and not tensor.is_leaf]


@torch.no_grad()
def _fold(layer: torch.nn.Module) -> None:
    for fold, name in _hooks(layer):
        fold(layer, name)
    if parametrize.is_parametrized(layer):
        _replace_parametrizations(layer)


def _replace_parametrizations(layer: torch.nn.Module) -> None:
    """Put plain weights where parametrizations are; torch's own removal also breaks the module this is a copy of.

    A parametrized layer has a class made for it, which its copies share.
    """
    made_by = layer.parametrizations.eval()  # in training mode a spectral norm changes with each look at it
    weights = {name: getattr(layer, name).detach().clone() for name in made_by}
    layer.__class__ = parametrize.type_before_parametrizations(layer)
    del layer.parametrizations
    for name, weight in weights.items():
        if any(True for _ in made_by[name].parameters(recurse=False)):
            setattr(layer, name, torch.nn.Parameter(weight))
        else:
            layer.register_buffer(name, weight)


def _hooks(layer: torch.nn.Module) -> list[tuple[Callable[[torch.nn.Module, str], object], str]]:
    """For each weight of ``layer`` that a hook computes, what makes it plain, and its name."""
    return [
        (fold, hook._tensor_name if kind is prune.BasePruningMethod else hook.name)
        for hook in layer._forward_pre_hooks.values()
        for kind, fold in _FOLDED_BY.items()
        if isinstance(hook, kind)
    ]
