"""What is asked of the nodes of an exported graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.errors import EngineError
from workbench.graph import dequantize_groups, layer_of
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
    import sympy
    import torch
else:
    np = lazy("numpy")
    torch = lazy("torch")

QUANTIZERS = ("quantized_decomposed.quantize_per_tensor.default", "quantized_decomposed.quantize_per_tensor.tensor")
DEQUANTIZERS = (
    "quantized_decomposed.dequantize_per_tensor.default",
    "quantized_decomposed.dequantize_per_tensor.tensor",
)
_NAMESPACES = ("aten", "quantized_decomposed")
_ARITHMETIC = ("_operator", "math")
"""Modules whose functions are called on sizes; the first is where those of ``operator`` are written."""
_SIZES = ("size", "sizes", "shape", "repeats")
"""Arguments of operators that say how large a tensor is to be."""
_OFF_WITHOUT = ("train", "dropout_p")
"""Arguments without which an operator that may draw numbers draws none."""
_WRITE_NO_NUMBERS = ("aten.detach_.default",)
"""In place by their schema, and yet numbers stay as they are: what ``torch.tensor`` gives in a forward is made so."""
_OF_WEIGHTS = ("quantized_decomposed.dequantize_per_channel.default", dequantize_groups)


def inputs_of(graph: torch.fx.Graph) -> list[torch.fx.Node]:
    """The model's inputs, in the order in which it takes them."""
    return [node for node in graph.nodes if node.op == "placeholder"]


def result_of(graph: torch.fx.Graph) -> torch.fx.Node:
    """The node that makes the model's one output; :class:`EngineError` where there are more."""
    returned = next(node for node in graph.nodes if node.op == "output").args[0]
    results = returned if isinstance(returned, (tuple, list)) else [returned]
    if len(results) != 1:
        raise EngineError(f"the native engine runs models of one output; this one has {len(results)}")
    return results[0]


def operator_of(node: torch.fx.Node) -> Any:
    """What a node calls: an overload by its full name ("aten.conv2d.default"), or a function; ``None`` for nothing."""
    if node.op != "call_function":
        return None
    return str(node.target) if is_overload(node) else node.target


def is_overload(node: torch.fx.Node) -> bool:
    """Whether it calls an operator of torch's dispatcher, as all work on tensors is done by."""
    return node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload)


def shown(node: torch.fx.Node) -> str:
    """The name of what a node calls, as people know it ("aten::conv2d")."""
    return node.target._schema.name if is_overload(node) else getattr(node.target, "__name__", str(node.target))


def free_nodes(graph: torch.fx.Graph) -> set[torch.fx.Node]:
    """The nodes that depend on no input's values, at most on its batch size, and are the same at each call."""
    free: set[torch.fx.Node] = set()
    batch = batch_symbol(graph)
    for node in graph.nodes:
        computed = is_repeatable(node) and all(used in free for used in node.all_input_nodes)
        if node.op == "get_attr" or computed or is_batch_size(node, batch):
            free.add(node)
    return free


def unneeded_nodes(graph: torch.fx.Graph) -> set[torch.fx.Node]:
    """The nodes that nothing the model gives depends on, and that change nothing that a tensor holds."""
    unneeded: set[torch.fx.Node] = set()
    for node in reversed(graph.nodes):
        if node.op == "call_function" and not writes_numbers(node) and unneeded.issuperset(node.users):
            unneeded.add(node)
    return unneeded


def is_repeatable(node: torch.fx.Node) -> bool:
    """Whether it only computes, the same each time: operators of others aren't known to, dropout doesn't."""
    if not is_overload(node):
        known = getattr(node.target, "__module__", None) in _ARITHMETIC or node.target is dequantize_groups
        return node.op == "call_function" and known
    return node.target.namespace in _NAMESPACES and not draws(node) and not writes_numbers(node)


def writes_numbers(node: torch.fx.Node) -> bool:
    """Whether it changes what a tensor holds that it is given."""
    return is_overload(node) and node.target._schema.is_mutable and operator_of(node) not in _WRITE_NO_NUMBERS


def draws(node: torch.fx.Node) -> bool:
    """Whether it draws random numbers."""
    if not is_overload(node) or torch.Tag.nondeterministic_seeded not in node.target.tags:
        return False
    arguments = arguments_of(node)
    return not any(name in arguments and not arguments[name] for name in _OFF_WITHOUT)


def arguments_of(node: torch.fx.Node) -> dict[str, Any]:
    """What an overload is called with, by name; those left out have their defaults."""
    arguments = node.target._schema.arguments
    defaults = {argument.name: argument.default_value for argument in arguments}
    return defaults | dict(zip(defaults, node.args, strict=False)) | dict(node.kwargs)


def batch_symbol(graph: torch.fx.Graph) -> sympy.Symbol | None:
    """The batch as the graph's sizes are written with it; ``None`` in a graph for one batch size."""
    return batch_of(inputs_of(graph)[0])


def batch_of(node: torch.fx.Node) -> sympy.Expr | None:
    """How many examples a tensor has, as the graph's sizes are written with it; ``None`` where that is a number."""
    value = traced(node)
    first = value.shape[0] if isinstance(value, torch.Tensor) and value.dim() else None
    return first.node.expr if isinstance(first, torch.SymInt) else None


def begins_with_batch(node: torch.fx.Node, batch: sympy.Symbol | None) -> bool:
    """Whether it gives a tensor whose first dimension is the batch."""
    return batch is not None and batch_of(node) == batch


def is_batch_size(node: torch.fx.Node, batch: sympy.Symbol | None) -> bool:
    """Whether it asks a tensor for its size and gets the batch."""
    return operator_of(node) == "aten.sym_size.int" and gives_batch_size(node, batch)


def gives_batch_size(node: torch.fx.Node, batch: sympy.Expr | None) -> bool:
    """Whether it gives how many examples there are, asked of a tensor or worked out from a tensor's size."""
    number = node.meta.get("val")
    return isinstance(number, torch.SymInt) and number.node.expr == batch


def takes_batch_for_a_number(node: torch.fx.Node) -> bool:
    """Whether it computes with the size of the batch, rather than make a tensor of that size."""
    if not is_overload(node):
        return False
    beside = [value for name, value in arguments_of(node).items() if name not in _SIZES]
    used: list[torch.fx.Node] = []
    torch.fx.node.map_arg(beside, used.append)
    return any(is_symbolic_number(each) for each in used)


def counts_examples(node: torch.fx.Node, batch: sympy.Symbol | None) -> bool:
    """Whether it gives the numbers from 0 up to the batch."""
    end = node.args[0] if operator_of(node) == "aten.arange.default" else None
    return isinstance(end, torch.fx.Node) and is_batch_size(end, batch)


def is_symbolic_number(node: torch.fx.Node) -> bool:
    """Whether it stands for a number that isn't known before the batch is."""
    return isinstance(node.meta.get("val"), (torch.SymInt, torch.SymFloat, torch.SymBool))


def sizes_with_batch(value: torch.Tensor, symbol: sympy.Symbol | None, batch: int) -> tuple[int | None, ...]:
    """The sizes of an exported tensor for this batch; ``None`` for those that the batch isn't a plain factor of."""
    return tuple(size if isinstance(size, int) else _multiple(size.node.expr / symbol, batch) for size in value.shape)


def _multiple(factor: sympy.Expr, batch: int) -> int | None:
    return int(factor) * batch if factor.is_Integer else None


def is_dequantization(node: torch.fx.Node) -> bool:
    """Whether it turns quantized numbers into floats."""
    return operator_of(node) in (*DEQUANTIZERS, *_OF_WEIGHTS)


def traced(node: torch.fx.Node) -> Any:
    """What a node gave when the model was exported, with its dtype and shape."""
    while node.meta.get("val") is None and is_dequantization(node):
        rounded = node.all_input_nodes[0].all_input_nodes
        if not rounded:
            break
        node = rounded[0]  # pairs carry none of their own: it is what they round
    return node.meta.get("val")


def attribute(module: Any, path: str) -> Any:
    """A constant by its qualified name."""
    for part in path.split("."):
        module = getattr(module, part)
    return module


def by_channel(constant: torch.Tensor | None, otherwise: float, channels: int) -> np.ndarray:
    """A layer's constant as float32 [channels]; all ``otherwise`` where the layer has none."""
    return np.full(channels, otherwise, np.float32) if constant is None else constant.float().numpy()


def unknown(node: torch.fx.Node, what: str = "") -> EngineError:
    """The error that names an operation without a kernel, and where it stands."""
    where = layer_of(node) or "in the model's own forward"
    name = operator_of(node) if is_overload(node) else shown(node)
    return EngineError(f"the native engine has no kernel for {f'{name} {what}'.strip()} ({where})")
