"""The verdict on what ran a layer of a variant, beside what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.engines._base import Kernel
from workbench.graph.layers import in_graph
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch

    from workbench.variant import Variant
else:
    torch = lazy("torch")


def quantized_layers(variant: Variant) -> set[str]:
    """The names of the layers that the variant's graph asks whole numbers of in all their products with weights."""
    return {layer for layer, (quantized, products) in _quantized_products(variant).items() if quantized == products}


def _quantized_products(variant: Variant) -> dict[str, tuple[int, int]]:
    """Layer → in how many of its products with weights the graph asks whole numbers, and how many it has."""
    counts: dict[str, tuple[int, int]] = {}
    if variant.graph is not None:
        weights_only = lambda layer: variant.formats_of(layer).weights_only  # noqa: E731
        for call in in_graph(variant.graph.graph, weights_only=weights_only):
            quantized, products = counts.get(call.name, (0, 0))
            if call.weighs:
                counts[call.name] = quantized + call.quantized, products + 1
    return counts


def judge(variant: Variant, layer: str, quantized: bool, name: str, dtype: str, why: str) -> Kernel:
    """Compare what ran a layer (``name``, computing in ``dtype``) with what the recipe asked for.

    ``quantized`` says whether the graph asks for whole numbers in this layer; ``why`` is the engine's reason,
    used where the dtype isn't the one asked for.
    """
    formats = variant.formats_of(layer)
    if formats.is_plain:
        return Kernel(name, dtype, "unchanged", "computed in float32, since the recipe asks for nothing else")
    if formats.weights and not quantized:
        return Kernel(name, dtype, "unchanged", why_in_float32(variant, layer))
    if dtype == formats.dtype:
        return Kernel(name, dtype, "real")
    if isinstance(_module(variant, layer), torch.nn.Embedding | torch.nn.EmbeddingBag):
        return Kernel(name, dtype, "unchanged", why)  # it computes nothing that could be imitated
    return Kernel(name, dtype, "simulated", why)


def why_in_float32(variant: Variant, layer: str) -> str:
    """Why a layer of a quantized graph is computed in float32, or a part of its products is."""
    quantized, products = _quantized_products(variant).get(layer, (0, 0))
    dtype = variant.formats_of(layer).dtype
    if 0 < quantized < products:
        return f"{quantized} of its {products} products {'is' if quantized == 1 else 'are'} {dtype}, the others float32"
    if layer in variant.unchanged:
        return variant.unchanged[layer]
    module = _module(variant, layer)
    if products or module is None:
        return "the recipe leaves it in float32"
    return f"{type(module).__name__} has no {dtype} form here and is computed in fp32"


def _module(variant: Variant, layer: str) -> torch.nn.Module | None:
    """None for names that stand only in a graph, as of a model that was exported before it came here."""
    return dict(variant.module.named_modules()).get(layer)
