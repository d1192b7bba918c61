"""How far each layer's output moved: the original's and the variant's on the same inputs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workbench.engines._program import as_floats, in_floats
from workbench.graph import layer_of
from workbench.graph.layers import SCALED_BY, weighted
from workbench.plumbing.lazy import lazy
from workbench.variant import Variant
from workbench.workload import Data

if TYPE_CHECKING:
    import torch

    from workbench.workload import Inputs
else:
    torch = lazy("torch")

Outputs = dict[str, "torch.Tensor"]


def output_errors(original: torch.nn.Module, variant: Variant, inputs: Inputs | torch.Tensor) -> dict[str, float]:
    """‖variant − original‖₂ / ‖original‖₂ of each layer's output, over the whole batch.

    The variant's arithmetic is that of its graph where it has one (int8 as quantize/dequantize pairs),
    of bfloat16 weights and activations for ``bf16``, else of its module; an engine's own rounding comes
    on top. Where the graph has folded a batch normalisation into the layer before it, that layer is
    compared at the normalisation's output. Errors accumulate: a layer's includes those of the layers
    before it. What a technique divided and multiplies again in the layer after it is compared as it was
    before. Layers whose shapes differ, or whose output isn't finite, are left out.

    Parameters
    ----------
    original
        The module before the recipe, in eval mode.
    variant
        What the recipe made of it.
    inputs
        [batch, …] of each input; a lone tensor is one.
    """
    inputs = Data(inputs).inputs
    with torch.no_grad():
        reference, normalised = _module_outputs(original, inputs)
        if variant.graph is not None:
            moved = _graph_outputs(variant.graph, inputs)
            folded = {layer: after for layer, after in normalised.items() if after not in moved}
            reference = {**reference, **{layer: reference[after] for layer, after in folded.items()}}
        elif variant.formats.cast:
            floats = getattr(torch, variant.formats.cast)
            moved, _ = _module_outputs(in_floats(variant.module, floats), as_floats(inputs, floats))
        else:
            moved, _ = _module_outputs(variant.module, inputs)
        names = [name for name in weighted(original) if name in reference and name in moved]
        compared = {name: _relative(reference[name], moved[name]) for name in names}
    return {name: error for name, error in compared.items() if error is not None}


def normalised(module: torch.nn.Module, inputs: Inputs) -> dict[str, str]:
    """Layer with weights → the batch normalisation that its output goes to; ``inputs`` are each [batch, …]."""
    with torch.no_grad():
        return _module_outputs(module, inputs)[1]


def _relative(reference: torch.Tensor, moved: torch.Tensor) -> float | None:
    if reference.shape != moved.shape:
        return None
    reference, moved = reference.double(), moved.double()
    size, distance = float(reference.norm()), float((moved - reference).norm())
    error = distance / size if size else (0.0 if distance == 0 else math.inf)
    return error if math.isfinite(error) else None


def _module_outputs(module: torch.nn.Module, inputs: Inputs) -> tuple[Outputs, dict[str, str]]:
    """The outputs of layers with weights and of batch normalisations, and layer → the normalisation it feeds."""
    outputs: Outputs = {}
    made_by: dict[int, tuple[str, torch.Tensor]] = {}
    normalised: dict[str, str] = {}

    def hook_for(name: str, normalises: bool):
        def hook(layer, given, output) -> None:
            if isinstance(output, tuple) and output:
                output = output[0]  # of a recurrent layer, an attention
            if not isinstance(output, torch.Tensor):
                return
            if normalises and given and id(given[0]) in made_by:
                normalised[made_by[id(given[0])][0]] = name
            made_by[id(output)] = (name, output)  # keeps the tensor alive, so that its id stays its own
            outputs[name] = output.clone()  # the next layer may work in place

        return hook

    layers = weighted(module)
    handles = []
    for name, layer in module.named_modules():
        normalises = isinstance(layer, torch.nn.modules.batchnorm._BatchNorm)
        if normalises or name in layers:
            handles.append(layer.register_forward_hook(hook_for(name, normalises)))
    try:
        module(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return outputs, normalised


def _graph_outputs(graph: torch.fx.GraphModule, inputs: Inputs) -> Outputs:
    """The last output of each layer's nodes."""
    outputs: Outputs = {}

    class Capture(torch.fx.Interpreter):
        def run_node(self, node):
            result = super().run_node(node)
            layer = layer_of(node) if node.op == "call_function" else None
            if layer is not None and isinstance(result, torch.Tensor):
                by = node.meta.get(SCALED_BY)
                outputs[layer] = result.clone() if by is None else result * by.view(-1, *[1] * (result.dim() - 2))
            return result

    Capture(graph).run(*inputs)
    return outputs
