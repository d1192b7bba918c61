"""The layers that hold parameters, and how these are kept: dtype, shape, zeros and bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from workbench.measure.tensors import Kept, Kernels, first_names, kept_tensors, layer_owning, own_tensors
from workbench.plumbing.lazy import lazy
from workbench.receipt import LayerState
from workbench.variant import Variant

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


def layer_states(variant: Variant, kernels: Kernels | None = None) -> dict[str, LayerState]:
    """The parameters of every layer as they are kept; in the model's order.

    Bytes are those of all the layer's own tensors, scales and zero points included, so that they add up to the
    model's; what layers share counts for the first. dtype, shape and share of zeros are of the largest parameter.
    A layer of which nothing is kept isn't there: one that a graph leaves out, or has folded into another. For
    ``bf16``, weights are bfloat16 unless ``kernels`` (the runner's) say that the layer runs in something else.
    """
    first = first_names(variant.module)
    by_parameter: dict[str, list[Kept]] = {}
    by_layer: dict[str, list[Kept]] = {}
    for kept in kept_tensors(variant, kernels):
        by_parameter.setdefault(kept.parameter, []).append(kept)
        by_layer.setdefault(kept.layer, []).append(kept)
    own_by_layer = own_tensors(variant.module)
    states = {}
    for layer in dict.fromkeys([*own_by_layer, *by_layer]):
        kept = by_layer.get(layer, [])
        own = own_by_layer.get(layer) or {each.parameter: each.tensor for each in kept}
        parts = {name: by_parameter.get(name) or by_parameter.get(first.get(name, name), []) for name in own}
        if any(parts.values()):
            states[layer] = _state(own, parts, kept)
    return states


def main_weight(tensors: dict[str, torch.Tensor]) -> str:
    """The name of the largest of a layer's own tensors, the first of several."""
    return max(tensors, key=lambda name: tensors[name].numel())


def shared_with(variant: Variant, kernels: Kernels | None = None) -> dict[str, str]:
    """Layer → the earlier layer that keeps the largest parameter of both."""
    first = first_names(variant.module)
    mains = {layer: main_weight(own) for layer, own in own_tensors(variant.module).items()}
    shared = {layer: main for layer, main in mains.items() if first[main] != main}
    kept = {each.parameter for each in kept_tensors(variant, kernels)} if shared else ()
    return {layer: layer_owning(first[main]) for layer, main in shared.items() if main not in kept}


def share_of_zeros(weights: Iterable[torch.Tensor]) -> float:
    """The share of elements that are exactly 0.0."""
    zeros = elements = 0
    for weight in weights:
        zeros, elements = zeros + int((weight == 0).sum()), elements + weight.numel()
    return zeros / elements if elements else 0.0


def _state(own: dict[str, torch.Tensor], parts: dict[str, list[Kept]], kept: list[Kept]) -> LayerState:
    """Of a layer whose ``own`` tensors are kept as ``parts``, and which ``kept`` count to."""
    main = main_weight({name: own[name] for name in own if parts[name]})
    described = [name for name in own if name == main or own[name].dim() >= 2]
    weights = {name: [part.weight for part in parts[name] if part.weight is not None] for name in described}
    return LayerState(
        dtype=" and ".join(dict.fromkeys(weight.dtype for name in described for weight in weights[name])),
        weight_shape=tuple(own[main].shape),
        sparsity=share_of_zeros(weight.values() for weight in weights[main]),
        weight_bytes=sum(each.size_bytes for each in kept),
    )
