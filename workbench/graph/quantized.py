"""Models that were quantized before they came here: their forward rounds to whole numbers and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench import precisions
from workbench.graph import export, layer_of
from workbench.graph.layers import in_graph
from workbench.plumbing.lazy import lazy
from workbench.variant import Variant

if TYPE_CHECKING:
    import torch

    from workbench.precisions import Precision
    from workbench.workload import Inputs
else:
    torch = lazy("torch")

_NAMESPACE = "quantized_decomposed"
_BITS = 8


def is_quantized(module: torch.nn.Module) -> bool:
    """Whether it has weights of whole numbers, or a graph that quantizes."""
    if any(parameter.dtype in (torch.int8, torch.uint8) for parameter in module.parameters()):
        return True
    graphs = (getattr(part, "graph", None) for part in module.modules())
    return any(map(_quantizes, (node for graph in graphs for node in getattr(graph, "nodes", ()))))


def already_quantized(module: torch.nn.Module) -> str | None:
    """Why no technique can change its weights, if it is quantized."""
    if not is_quantized(module):
        return None
    return "the model is quantized already: its weights are whole numbers; give the float model it was made from"


def untouched(module: torch.nn.Module, example: Inputs | torch.Tensor) -> Variant:
    """What a recipe begins with: the module, with its graph and precision where it is quantized already.

    ``example``: [batch, …] of each input; a lone tensor is one.

    Raises
    ------
    EngineError
        It is quantized and can't be exported.
    """
    if not is_quantized(module):
        return Variant(module)
    graph = export(module, example).module().requires_grad_(False)
    allow_other_layouts(graph)
    formats = _formats(graph.graph)
    layers = [call for call in in_graph(graph.graph, weights_only=lambda _: formats.weights_only) if call.weighs]
    floats = dict.fromkeys((call.name for call in layers if not call.quantized), "float32 is what it came in")
    count = len({call.name for call in layers} - floats.keys())
    notice = f"the model came quantized, {formats.name} in {count} of {count + len(floats)} layers; so is its baseline"
    return Variant(module, formats.name, graph, unchanged=floats, notices=(notice,))


def allow_other_layouts(graph: torch.fx.GraphModule) -> None:
    """Let a graph's calls take any memory layout, in place: int8 kernels hand on others than those exported."""
    for node in graph.graph.nodes:
        if node.target is torch.ops.aten.view.default:
            node.target = torch.ops.aten.reshape.default
    graph.recompile()


def few_bits(variant: Variant) -> dict[str, int]:
    """How many bits the weights take that a graph's calls dequantize with a scale for each channel, by these calls.

    Of eight, which take a byte in any case, none. In the graph they are bytes, as kernels multiply them.
    """
    found = {}
    for node in variant.graph.graph.nodes:
        if str(node.target) != f"{_NAMESPACE}.dequantize_per_channel.default":
            continue
        layer = next(filter(None, map(layer_of, node.users)), None)
        formats = variant.formats_of(layer) if layer is not None else variant.formats
        if formats.few_bits:
            found[node.name] = formats.weights.bits
    return found


def _quantizes(node: torch.fx.Node) -> bool:
    return getattr(node.target, "namespace", "") == _NAMESPACE


def _formats(graph: torch.fx.Graph) -> Precision:
    """The precision with int8 weights whose activations are quantized as the graph's are: static, dynamic or not."""
    called = {str(node.target) for node in graph.nodes if _quantizes(node)}
    static = f"{_NAMESPACE}.quantize_per_tensor.default" in called
    dynamic = f"{_NAMESPACE}.choose_qparams.tensor" in called
    scales = "calibrated" if static else "call" if dynamic else None
    return next(
        each
        for each in precisions.registered().values()
        if each.weights == precisions.Integers(_BITS, "channel")
        and (each.activations.scales if each.activations else None) == scales
    )
