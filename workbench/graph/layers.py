"""The layers that do the work: of a module, and as an exported graph calls them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from workbench.graph import layer_of

if TYPE_CHECKING:
    import torch

Kind = Literal["convolution", "linear", "recurrent", "other"]
_RECURRENT = ("gru.input", "lstm.input", "gru_of_bytes", "lstm_of_bytes")


@dataclass(frozen=True)
class Layer:
    """One call of a layer in an exported graph, in execution order."""

    name: str
    call: str
    """The call's own name in the graph."""
    kind: Kind
    operation: str
    """The aten operation ("aten::conv2d"), or a function's name."""
    quantized: bool
    """Whether a technique put quantize/dequantize pairs around its weight and input, or its weight alone."""
    weighs: bool
    """Whether it multiplies with a weight: an attention also multiplies what it computed with itself."""


SCALED_BY = "scaled_by"
"""Under this name a call's ``meta`` has what its output channels were divided by, float32 [channels], where a technique
did so and multiplied by it in the call that reads them."""


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


def in_graph(graph: torch.fx.Graph, *, weights_only: Callable[[str], bool] = lambda _: False) -> list[Layer]:
    """The convolutions, linear and recurrent layers an exported graph calls, in execution order.

    ``weights_only``: whether a layer's scheme quantizes its weights and leaves their inputs alone.
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
        operands = weights_of(node) if weights_only(name) else [node.args[0], *weights_of(node)]
        quantized = all("dequantize" in _operation(argument) for argument in operands)
        weighs = not constants.isdisjoint(inputs)
        operation = f"aten::{_operation(node)}" if hasattr(node.target, "namespace") else _operation(node)
        layers.append(Layer(name, node.name, kind, operation, quantized, weighs))
    return layers


def weights_of(node: torch.fx.Node) -> list[object]:
    """What a convolution, linear or recurrent call multiplies its input by; a recurrent one also its state."""
    if _kind(node) != "recurrent":
        return list(node.args[1:2])
    _, _, parameters, has_biases, levels, _, _, bidirectional, *_ = node.args
    each = len(parameters) // (levels * (2 if bidirectional else 1))  # weights of input and state, biases, projection
    return [weight for i, weight in enumerate(parameters) if not has_biases or i % each not in (2, 3)]


def owners(graph: torch.fx.Graph) -> dict[torch.fx.Node, str]:
    """The layer each node counts to: its own, else the one its result goes to."""
    found = {}
    for node in reversed(graph.nodes):
        name = layer_of(node) or next((found[user] for user in node.users if user in found), None)
        if name is not None:
            found[node] = name
    return found


def _kind(node: torch.fx.Node) -> Kind:
    operation = _operation(node)
    if "conv" in operation:
        return "convolution"
    if operation and node.target.__name__ in _RECURRENT:
        return "recurrent"
    return "linear" if operation in ("linear", "addmm", "mm", "matmul", "bmm") else "other"


def _operation(node: object) -> str:
    """The bare name of the operation a node calls ("conv2d"); empty for anything else, also for a user's operators."""
    if getattr(node, "op", None) != "call_function":
        return ""
    if getattr(node.target, "namespace", "aten") not in ("aten", "quantized_decomposed"):
        return ""
    return str(getattr(node.target, "__name__", node.target)).split(".")[0]
