"""What is asked of the nodes of an exported graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench._lazy import lazy
from workbench.errors import EngineError
from workbench.graph import layer_of

if TYPE_CHECKING:
    import numpy as np
    import torch
else:
    np = lazy("numpy")


def input_of(graph: torch.fx.Graph) -> torch.fx.Node:
    """The model's one input; :class:`EngineError` where there are more."""
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        raise EngineError(f"the native engine runs models of one input; this one has {len(inputs)}")
    return inputs[0]


def result_of(graph: torch.fx.Graph) -> torch.fx.Node:
    """The node that makes the model's one output; :class:`EngineError` where there are more."""
    returned = next(node for node in graph.nodes if node.op == "output").args[0]
    results = returned if isinstance(returned, (tuple, list)) else [returned]
    if len(results) != 1:
        raise EngineError(f"the native engine runs models of one output; this one has {len(results)}")
    return results[0]


def free_nodes(graph: torch.fx.Graph) -> set[torch.fx.Node]:
    """The nodes that depend on no input's values, at most on its sizes: constants, and what is computed of them."""
    free: set[torch.fx.Node] = set()
    for node in graph.nodes:
        computed = node.op == "call_function" and all(used in free for used in node.all_input_nodes)
        if node.op == "get_attr" or computed or _is_batch_size(node):
            free.add(node)
    return free


def _is_batch_size(node: torch.fx.Node) -> bool:
    """Whether it asks for the batch: the one free size of a model, so long as it isn't multiplied with others."""
    return operation(node) == "sym_size" and node.meta["val"].node.expr.is_Symbol


def operation(node: torch.fx.Node) -> str:
    """The bare name of what a node calls ("conv2d"); empty where it calls nothing."""
    if node.op != "call_function":
        return ""
    name = str(getattr(node.target, "__name__", node.target) if callable(node.target) else node.target)
    return name.removeprefix("aten.").removeprefix("quantized_decomposed.").split(".")[0]


def traced(node: torch.fx.Node) -> Any:
    """What a node gave when the model was exported, with its dtype and shape."""
    while node.meta.get("val") is None and "dequantize" in operation(node):
        node = node.all_input_nodes[0].all_input_nodes[0]  # pairs carry none of their own: it is what they round
    return node.meta.get("val")


def attribute(module: Any, path: str) -> torch.Tensor:
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
    return EngineError(f"the native engine has no kernel for {f'{node.target} {what}'.strip()} ({where})")
