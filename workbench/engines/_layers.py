"""The layers of a variant that do the work, and the verdict on what ran them."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from workbench.engines._base import Kernel
from workbench.graph import layer_of
from workbench.plumbing.lazy import lazy
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
    weighs: bool
    """Whether it multiplies with a weight: an attention also multiplies what it computed with itself."""


def weighted(module: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """Qualified name → module of every layer that has a parameter of two or more dimensions of its own.

    Convolutions, linear and recurrent layers, attentions, embeddings and what is built like them; no normalisation,
    and not ``module`` itself, which has no name.
    """
    return {
        name: layer
        for name, layer in module.named_modules()
        if name and any(parameter.dim() >= 2 for parameter in layer.parameters(recurse=False))
    }


def in_graph(graph: torch.fx.Graph, *, weight_only: bool = False) -> list[Layer]:
    """The convolutions and linear layers an exported graph calls, in execution order.

    ``weight_only``: the graph's scheme quantizes weights and leaves their inputs alone.
    """
    layers = []
    constants: set[torch.fx.Node] = set()
    for node in graph.nodes:
        inputs = node.all_input_nodes
        if node.op == "get_attr" or (inputs and constants.issuperset(inputs)):
            constants.add(node)
        kind = _kind(node)
        name = layer_of(node) if kind != "other" else None
        if name is None:
            continue
        operands = node.args[1:2] if weight_only else node.args[:2]
        quantized = all("dequantize" in _operation(argument) for argument in operands)
        layers.append(Layer(name, kind, f"aten::{_operation(node)}", quantized, not constants.isdisjoint(inputs)))
    return layers


def quantized_layers(variant: Variant) -> set[str]:
    """The names of the layers that the variant's graph asks int8 or int4 of in all their products with weights."""
    return {layer for layer, (quantized, products) in _quantized_products(variant).items() if quantized == products}


def _quantized_products(variant: Variant) -> dict[str, tuple[int, int]]:
    """Layer → in how many of its products with weights the graph asks int8 or int4, and how many it has."""
    counts: dict[str, tuple[int, int]] = {}
    if variant.graph is not None:
        for call in in_graph(variant.graph.graph, weight_only=variant.precision in WEIGHT_ONLY):
            quantized, products = counts.get(call.name, (0, 0))
            if call.weighs:
                counts[call.name] = quantized + call.quantized, products + 1
    return counts


def judge(variant: Variant, layer: str, quantized: bool, name: str, dtype: str, why: str) -> Kernel:
    """Compare what ran a layer (``name``, computing in ``dtype``) with what the recipe asked for.

    ``quantized`` says whether the graph asks for int8 or int4 in this layer; ``why`` is the engine's reason,
    used where the dtype isn't the one asked for.
    """
    if variant.precision == "fp32":
        return Kernel(name, dtype, "unchanged", "float32, as the recipe leaves it")
    if variant.precision != "bf16" and not quantized:
        return Kernel(name, dtype, "unchanged", why_in_float32(variant, layer))
    if dtype == ASKED[variant.precision]:
        return Kernel(name, dtype, "real")
    if isinstance(_module(variant, layer), torch.nn.Embedding | torch.nn.EmbeddingBag):
        return Kernel(name, dtype, "unchanged", why)  # it computes nothing that could be imitated
    return Kernel(name, dtype, "simulated", why)


def why_in_float32(variant: Variant, layer: str) -> str:
    """Why a layer of a quantized graph is computed in float32, or a part of its products is."""
    quantized, products = _quantized_products(variant).get(layer, (0, 0))
    dtype = ASKED[variant.precision]
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
    """The bare name of the operation a node calls ("conv2d"); empty for anything else, also for a user's operators."""
    if getattr(node, "op", None) != "call_function":
        return ""
    if getattr(node.target, "namespace", "aten") not in ("aten", "quantized_decomposed"):
        return ""
    return str(getattr(node.target, "__name__", node.target)).split(".")[0]
