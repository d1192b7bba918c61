"""The layers that have weights, and what their weights are: dtype, shape, zeros and bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from workbench._lazy import lazy
from workbench.engines import Kernel
from workbench.graph import dequantize_groups, layer_of, unpacked_groups
from workbench.receipt import LayerState
from workbench.variant import Variant

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")

Kernels = Mapping[str, Kernel]


def weighted_layers(module: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """Qualified name → module of every layer whose weight has two or more dimensions: convolutions, linear layers,
    embeddings and what is built like them; no normalisation, and not ``module`` itself, which has no name.
    """
    return {
        name: layer
        for name, layer in module.named_modules()
        if name and isinstance(getattr(layer, "weight", None), torch.Tensor) and layer.weight.dim() >= 2
    }


def layer_states(variant: Variant, kernels: Kernels | None = None) -> dict[str, LayerState]:
    """The weight of every layer as it is kept: dtype, shape, share of zeros and bytes.

    In an int8 graph a layer's weight is the int8 constant that a dequantize node feeds to it; its bytes
    include scales and zero points. For ``bf16``, weights are bfloat16 unless ``kernels`` (the runner's)
    say that the layer runs in something else.
    """
    in_graph = _graph_states(variant.graph) if variant.graph is not None else {}
    states = {}
    for name, layer in weighted_layers(variant.module).items():
        weight = layer.weight.detach()
        as_bf16 = variant.precision == "bf16" and weight.is_floating_point() and runs_in_bf16(name, kernels)
        states[name] = in_graph.get(name) or LayerState(
            dtype="bfloat16" if as_bf16 else _dtype(weight),
            weight_shape=tuple(weight.shape),
            sparsity=share_of_zeros(weight),
            weight_bytes=weight.numel() * (2 if as_bf16 else weight.element_size()),
        )
    return states


def runs_in_bf16(name: str, kernels: Kernels | None) -> bool:
    """Whether a layer of a ``bf16`` variant does run in it, by the runner's kernels; yes where they aren't known."""
    return kernels is None or (name in kernels and kernels[name].dtype in ("bfloat16", "bf16"))


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def share_of_zeros(weight: torch.Tensor, zero_point: torch.Tensor | int = 0) -> float:
    """The share of elements that stand for exactly 0.0."""
    return float((weight == zero_point).double().mean()) if weight.numel() else 0.0


def _graph_states(graph: torch.fx.GraphModule) -> dict[str, LayerState]:
    states: dict[str, LayerState] = {}
    for node in graph.graph.nodes:
        layer = layer_of(node) if node.op == "call_function" else None
        if layer is None or layer in states:
            continue
        for source in node.all_input_nodes:
            state = _constant_state(graph, source)
            if state is not None:
                states[layer] = state
                break
    return states


def _constant_state(graph: torch.fx.GraphModule, node: torch.fx.Node) -> LayerState | None:
    """The weight behind a node's input: a constant, or one seen through dequantize and reshaping; else None."""
    parameters: list[torch.Tensor] = []
    zero_point: torch.Tensor | int = 0
    if node.target is dequantize_groups:
        return _int4_state(graph, node)
    while node.op == "call_function" and node.all_input_nodes:
        if "dequantize" in str(node.target):
            if any(source.op != "get_attr" for source in node.all_input_nodes[1:]):
                return None  # its scale is found at run time: an activation
            parameters = [constant(graph, source) for source in node.all_input_nodes[1:] if source.op == "get_attr"]
            axis = node.args[3] if "per_channel" in str(node.target) else None
            zero_point = _zero_point(graph, node.args[2], axis, node.args[0])
        elif len(node.all_input_nodes) > 1:
            return None  # computed from activations, not a constant's other view
        node = node.all_input_nodes[0]
    if node.op != "get_attr":
        return None
    weight = constant(graph, node)
    if not isinstance(weight, torch.Tensor) or weight.dim() < 2:
        return None
    kept = [weight, *parameters]
    return LayerState(
        dtype=_dtype(weight),
        weight_shape=tuple(weight.shape),
        sparsity=share_of_zeros(weight, zero_point),
        weight_bytes=sum(tensor.numel() * tensor.element_size() for tensor in kept),
    )


def _int4_state(graph: torch.fx.GraphModule, node: torch.fx.Node) -> LayerState:
    packed, scales = (constant(graph, source) for source in node.args[:2])
    group_size, inputs = node.args[2:]
    weight = unpacked_groups(packed, group_size).flatten(1)[:, :inputs]
    return LayerState(
        dtype="int4",
        weight_shape=tuple(weight.shape),
        sparsity=share_of_zeros(weight),
        weight_bytes=sum(tensor.numel() * tensor.element_size() for tensor in (packed, scales)),
    )


def _zero_point(graph: torch.fx.GraphModule, argument, axis: int | None, weight: torch.fx.Node) -> torch.Tensor | int:
    """The quantized value that means 0.0, shaped to compare with the weight."""
    if not isinstance(argument, torch.fx.Node):
        return argument
    value = constant(graph, argument)
    if axis is None:
        return value
    shape = [1] * constant(graph, weight).dim()
    shape[axis] = -1
    return value.reshape(shape)


def constant(graph: torch.fx.GraphModule, node: torch.fx.Node) -> torch.Tensor:
    """The attribute that a ``get_attr`` node refers to."""
    found = graph
    for part in node.target.split("."):
        found = getattr(found, part)
    return found
