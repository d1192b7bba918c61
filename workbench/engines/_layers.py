"""The layers of a variant that do the work, and the verdict on what ran them."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from workbench._lazy import lazy
from workbench.engines._base import Kernel
from workbench.graph import layer_of
from workbench.variant import WEIGHT_ONLY

if TYPE_CHECKING:
    import torch

    from workbench.variant import Variant
else:
    torch = lazy("torch")

Kind = Literal["convolution", "linear", "other"]

ASKED = {
    "fp32": "float32", "bf16": "bfloat16", "int8-static": "int8", "int8-dynamic": "int8", "int8-weights": "int8",
    "int4-weights": "int4",
}  # fmt: skip
"""What a precision asks each layer to compute in."""


@dataclass(frozen=True)
class Layer:
    """One call of a layer in an exported graph, in execution order."""

    name: str
    kind: Kind
    operation: str
    """The aten operation ("aten::conv2d")."""
    quantized: bool
    """Whether a technique put quantize/dequantize pairs around its weight and input, or its weight alone."""


def weighted(module: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """The layers with a weight of two dimensions or more (convolutions, linear, …), by qualified name."""
    return {
        name: child
        for name, child in module.named_modules()
        if name and isinstance(weight := getattr(child, "weight", None), torch.Tensor) and weight.dim() >= 2
    }


def in_graph(graph: torch.fx.Graph, *, weight_only: bool = False) -> list[Layer]:
    """The convolutions and linear layers an exported graph calls, in execution order.

    ``weight_only``: the graph's scheme quantizes weights and leaves their inputs alone.
    """
    layers = []
    for node in graph.nodes:
        kind = _kind(node)
        name = layer_of(node) if kind != "other" else None
        if name is None:
            continue
        operands = node.args[1:2] if weight_only else node.args[:2]
        quantized = all("dequantize" in _operation(argument) for argument in operands)
        layers.append(Layer(name, kind, f"aten::{_operation(node)}", quantized))
    return layers


def quantized_layers(variant: Variant) -> set[str]:
    """The names of the layers that the variant's graph asks int8 or int4 of; empty for other precisions."""
    if variant.graph is None:
        return set()
    layers = in_graph(variant.graph.graph, weight_only=variant.precision in WEIGHT_ONLY)
    return {layer.name for layer in layers if layer.quantized}


def judge(variant: Variant, layer: str, quantized: bool, name: str, dtype: str, why: str) -> Kernel:
    """Compare what ran a layer (``name``, computing in ``dtype``) with what the recipe asked for.

    ``quantized`` says whether the graph asks for int8 or int4 in this layer; ``why`` is the engine's reason,
    used where the dtype isn't the one asked for.
    """
    if variant.precision == "fp32":
        return Kernel(name, dtype, "unchanged", "float32, as the recipe leaves it")
    if variant.precision != "bf16" and not quantized:
        return Kernel(name, dtype, "unchanged", variant.unchanged.get(layer, "the recipe leaves it in float32"))
    if dtype == ASKED[variant.precision]:
        return Kernel(name, dtype, "real")
    return Kernel(name, dtype, "simulated", why)


def owners(graph: torch.fx.Graph) -> dict[torch.fx.Node, str]:
    """The layer each node counts to: its own, else the one its result goes to."""
    found = {}
    for node in reversed(graph.nodes):
        name = layer_of(node) or next((found[user] for user in node.users if user in found), None)
        if name is not None:
            found[node] = name
    return found


def node_times_ms(
    module: torch.fx.GraphModule, inputs: torch.Tensor, now_ms: Callable[[], float]
) -> dict[torch.fx.Node, float]:
    """What each node of a graph takes when PyTorch runs it once, by the clock ``now_ms``."""
    spent = {}

    class Timed(torch.fx.Interpreter):
        def run_node(self, node):
            begin = now_ms()
            result = super().run_node(node)
            spent[node] = now_ms() - begin
            return result

    Timed(module).run(inputs)
    return spent


def median_times_ms(runs: Iterable[dict[str, float]]) -> dict[str, float]:
    """Medians by layer of the times that each of ``runs`` took."""
    samples = defaultdict(list)
    for run in runs:
        for layer, milliseconds in run.items():
            samples[layer].append(milliseconds)
    return {layer: statistics.median(values) for layer, values in samples.items()}


def _kind(node: torch.fx.Node) -> Kind:
    operation = _operation(node)
    if "conv" in operation:
        return "convolution"
    return "linear" if operation in ("linear", "addmm", "mm", "matmul", "bmm") else "other"


def _operation(node: object) -> str:
    """The bare name of the operation a node calls ("conv2d"); empty for anything else."""
    if getattr(node, "op", None) != "call_function":
        return ""
    return str(getattr(node.target, "__name__", node.target)).split(".")[0]
