"""How much arithmetic a model's layers do."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workbench._lazy import lazy
from workbench.measure.weights import weighted_layers

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


def multiply_adds(module: torch.nn.Module, inputs: torch.Tensor) -> dict[str, int]:
    """Multiply-adds per call of each layer with weights, by name, for a batch like ``inputs`` (float32 [batch, …]).

    A convolution does, for every output element, one for each weight of one output channel; a linear
    layer likewise for each of its inputs; a transposed convolution for every *input* element one for
    each weight of one input channel. Embeddings only look up: 0.
    """
    found: dict[str, int] = {}

    def hook_for(name: str):
        def hook(layer, given, output) -> None:
            if isinstance(output, torch.Tensor):
                found[name] = found.get(name, 0) + _of(layer, given[0], output)

        return hook

    handles = [layer.register_forward_hook(hook_for(name)) for name, layer in weighted_layers(module).items()]
    try:
        with torch.no_grad():
            module(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _of(layer: torch.nn.Module, given: torch.Tensor, output: torch.Tensor) -> int:
    if isinstance(layer, torch.nn.Embedding | torch.nn.EmbeddingBag):
        return 0
    transposed = getattr(layer, "transposed", False)
    return (given if transposed else output).numel() * math.prod(layer.weight.shape[1:])
