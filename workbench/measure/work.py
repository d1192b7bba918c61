"""How much arithmetic a model's layers do."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workbench.graph.layers import weighted
from workbench.plumbing.lazy import lazy
from workbench.workload import Data

if TYPE_CHECKING:
    import torch

    from workbench.workload import Inputs
else:
    torch = lazy("torch")


def multiply_adds(module: torch.nn.Module, inputs: Inputs | torch.Tensor) -> dict[str, int]:
    """Multiply-adds per call of each layer with weights, by name, for a batch like ``inputs`` ([batch, …] of each).

    A convolution does, for every output element, one for each weight of one output channel; a linear
    layer likewise for each of its inputs; a transposed convolution for every *input* element one for
    each weight of one input channel. A recurrent layer does, at every step, one for each weight; an attention, for
    every position, one for each weight that projects it, its ``out_proj``'s included. Embeddings only look up: 0.
    Layers of other kinds are counted as linear ones, those without a ``weight`` not at all.
    """
    found: dict[str, int] = {}

    def hook_for(name: str):
        def hook(layer, given, options, output) -> None:
            found[name] = found.get(name, 0) + _of(layer, given, options, output)

        return hook

    handles = [
        layer.register_forward_hook(hook_for(name), with_kwargs=True)
        for name, layer in weighted(module).items()
        if isinstance(layer, torch.nn.RNNBase | torch.nn.MultiheadAttention) or _has_weight(layer)
    ]
    try:
        with torch.no_grad():
            module(*Data(inputs).inputs)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _has_weight(layer: torch.nn.Module) -> bool:
    return isinstance(weight := getattr(layer, "weight", None), torch.Tensor) and weight.dim() >= 2


def _of(layer: torch.nn.Module, given: tuple, options: dict, output) -> int:
    if isinstance(layer, torch.nn.Embedding | torch.nn.EmbeddingBag):
        return 0
    if isinstance(layer, torch.nn.MultiheadAttention):
        return _of_attention(layer, **dict(zip(("query", "key", "value"), given, strict=False)) | options)
    if isinstance(layer, torch.nn.RNNBase):
        weights = sum(parameter.numel() for parameter in layer.parameters() if parameter.dim() >= 2)
        steps = output[0].data if isinstance(output[0], torch.nn.utils.rnn.PackedSequence) else output[0]
        return steps.shape[:-1].numel() * weights
    if not isinstance(output, torch.Tensor):
        return 0
    transposed = getattr(layer, "transposed", False)
    return (given[0] if transposed else output).numel() * math.prod(layer.weight.shape[1:])


def _of_attention(layer: torch.nn.MultiheadAttention, query, key, value, **_) -> int:
    wide = layer.embed_dim
    return query.numel() * 2 * wide + (key.numel() + value.numel()) * wide
