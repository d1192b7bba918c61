"""What an operator sees of the graph while it is imported, and the register of operators."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import fx, nn

if TYPE_CHECKING:
    import onnx

Value = fx.Node | np.ndarray | None
"""A value of the graph: computed (a node), constant (an array), or left out."""

OPERATORS: dict[str, Callable[[Scope], Any]] = {}
"""Operators on tensors, by ONNX name."""
SIZES: dict[str, Callable[..., Any]] = {}
"""Operators on sizes (the outputs of Shape and what is computed from them), as functions of Python numbers."""


class Unsupported(Exception):
    """An operator, or a use of one, that isn't imported."""


def operator(*names: str) -> Callable[[Callable[[Scope], Any]], Callable[[Scope], Any]]:
    """Register a function as the importer of these operators."""

    def register(function: Callable[[Scope], Any]) -> Callable[[Scope], Any]:
        OPERATORS.update(dict.fromkeys(names, function))
        return function

    return register


@dataclass
class Build:
    """The module in the making.

    ``ranks`` holds the number of dimensions of values where it is known, ``fixed_batch`` the batch size
    the file was exported for (0: any).
    """

    root: nn.Module
    graph: fx.Graph
    opset: int
    trainable: frozenset[str]
    ranks: dict[str, int]
    fixed_batch: int = 0
    values: dict[str, Value] = field(default_factory=dict)
    sizes: set[fx.Node] = field(default_factory=set)
    layers: dict[str, tuple] = field(default_factory=dict)

    def constant(self, name: str, array: np.ndarray) -> fx.Node:
        """A parameter (a floating-point initializer) or buffer of the module, by its name in the file."""
        path = identifier(name)
        owner, _, leaf = path.rpartition(".")
        module = self.container(owner)
        if not hasattr(module, leaf):
            tensor = torch.from_numpy(np.array(array))
            if name in self.trainable and tensor.is_floating_point():
                module.register_parameter(leaf, nn.Parameter(tensor))
            else:
                module.register_buffer(leaf, tensor)
        return self.graph.get_attr(path)

    def container(self, path: str) -> nn.Module:
        """The submodule at ``path``, made where it is missing."""
        module = self.root
        for part in filter(None, path.split(".")):
            if not isinstance(getattr(module, part, None), nn.Module):
                module.add_module(part, nn.Module())
            module = getattr(module, part)
        return module

    def layer(self, name: str, layer: nn.Module, identity: tuple, *inputs: fx.Node) -> fx.Node:
        """Call a layer; a second use of the same weights (``identity``) calls the same layer again."""
        path, count = name, 1
        while path in self.layers and self.layers[path] != identity:
            path, count = f"{name}_{count}", count + 1
        if path not in self.layers:
            owner, _, leaf = path.rpartition(".")
            self.container(owner).add_module(leaf, layer)
            self.layers[path] = identity
        return self.graph.call_module(path, inputs)


@dataclass
class Scope:
    """One ONNX node and the graph around it. ``following_bias`` is the name and value added to its output, if any."""

    node: onnx.NodeProto
    build: Build
    attributes: dict[str, Any]
    following_bias: tuple[str, np.ndarray] | None = None
    took_bias: bool = False

    def has(self, index: int) -> bool:
        """Whether input ``index`` is given."""
        return index < len(self.node.input) and bool(self.node.input[index])

    def value(self, index: int) -> Value:
        """Input ``index`` as it is."""
        return self.build.values[self.node.input[index]] if self.has(index) else None

    def constant(self, index: int) -> np.ndarray | None:
        """Input ``index`` if it is a constant."""
        value = self.value(index)
        return value if isinstance(value, np.ndarray) else None

    def tensor(self, index: int) -> Any:
        """Input ``index`` as a tensor for a function; a constant single number as that number."""
        value = self.value(index)
        if isinstance(value, np.ndarray):
            return value.item() if value.ndim == 0 else self.build.constant(self.node.input[index], value)
        return self.call(_as_operand, value) if value in self.build.sizes else value

    def numbers(self, index: int, attribute: str | None = None) -> Any:
        """Input ``index`` (or, in older files, an attribute) as Python numbers: constant, or computed from sizes."""
        value = self.value(index)
        if value is None:
            return self.attributes.get(attribute) if attribute else None
        if isinstance(value, np.ndarray):
            return value.tolist()
        if value not in self.build.sizes:
            raise Unsupported(f"with input {index} computed from the data")
        return value

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute of the node."""
        return self.attributes.get(name, default)

    def call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> fx.Node:
        """Call a function in the graph."""
        return self.build.graph.call_function(function, arguments, options)

    def layer(self, layer: nn.Module, *inputs: Any, weight: int | None = None, bias: str = "") -> fx.Node:
        """Call a layer, named after its weights (input ``weight``) or, where these have no name, the node."""
        names = [self.node.input[weight]] if weight is not None else []
        return self.build.layer(self._layer_name([*names, bias]), layer, (*names, bias, str(layer)), *inputs)

    def _layer_name(self, tensors: list[str]) -> str:
        for name in tensors:
            if match := re.fullmatch(r"([\w.]+?)[._](?:weight|bias)", name):
                return identifier(match[1])
        if self.node.name.startswith("/"):  # torch's older exporter: "/block1/conv1/Conv"
            path = self.node.name.strip("/").split("/")[:-1]
            if path:
                return identifier(".".join(path))
        return identifier(self.node.name or f"{self.node.op_type}_{self.node.output[0]}")


def _as_operand(sizes: Any) -> Any:
    """Sizes for use beside tensors: a single one as a number."""
    if not isinstance(sizes, list):
        return sizes
    return sizes[0] if len(sizes) == 1 else torch.tensor(sizes)


def identifier(name: str) -> str:
    """A name as torch takes it for a module or parameter: dotted, without other signs or empty parts."""
    parts = [re.sub(r"\W", "_", part) for part in name.replace("/", ".").split(".") if part]
    return ".".join(parts) or "_"
