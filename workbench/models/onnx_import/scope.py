"""What an operator sees of the graph while it is imported, and the register of operators."""

from __future__ import annotations

import operator as arithmetic
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import fx, nn

from workbench.models.onnx_import.dtypes import Unsupported, dtype_of, tensor_of
from workbench.models.onnx_import.integers import DEQUANTIZE, RANGE, Integers

if TYPE_CHECKING:
    import onnx

__all__ = [
    "OPERATORS",
    "SIZES",
    "WIDE",
    "Build",
    "Scope",
    "Unsupported",
    "Value",
    "as_tensor",
    "identifier",
    "operator",
]

Value = fx.Node | np.ndarray | None
"""A value of the graph: computed (a node), constant (an array), or left out."""

OPERATORS: dict[str, Callable[[Scope], Any]] = {}
"""Operators on tensors, by ONNX name."""
WIDE: set[str] = set()
"""Those of them that take uint16, uint32 and uint64 as well, with which torch hardly computes."""
SIZES: dict[str, Callable[..., Any]] = {}
"""Operators on sizes (the outputs of Shape and what is computed from them), as functions of Python numbers."""


def operator(*names: str, wide: bool = False) -> Callable[[Callable[[Scope], Any]], Callable[[Scope], Any]]:
    """Register a function as the importer of these operators; ``wide``: also on uint16, uint32 and uint64."""

    def register(function: Callable[[Scope], Any]) -> Callable[[Scope], Any]:
        OPERATORS.update(dict.fromkeys(names, function))
        WIDE.update(names if wide else ())
        return function

    return register


@dataclass
class Build:
    """The module in the making.

    ``shapes`` and ``dtypes`` hold what is known of values before any is computed (a free dimension is 0).
    ``for_workload``: the module is to take any batch and be exported, so its shapes may not come from data.
    """

    root: nn.Module
    graph: fx.Graph
    opset: int
    trainable: frozenset[str]
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, torch.dtype]
    fixed_batch: int = 0
    for_workload: bool = False
    values: dict[str, Value] = field(default_factory=dict)
    sizes: dict[fx.Node, int] = field(default_factory=dict)
    """Values kept as Python numbers, with their rank: 0 (a number) or 1 (a list)."""
    layers: dict[str, tuple] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    """Where in the module a constant lies, by its name in the file."""
    integers: dict[str, Integers] = field(default_factory=dict)
    """Constants that are made of bytes, as these."""
    rounded: dict[fx.Node, tuple] = field(default_factory=dict)
    """Values that are quantized, and what was: see the operators that do it."""

    def constant(self, name: str, array: np.ndarray) -> fx.Node:
        """A parameter (a floating-point initializer) or buffer of the module, by its name in the file."""
        if name not in self.constants:
            tensor, path = tensor_of(array), self._free(identifier(name))
            owner, _, leaf = path.rpartition(".")
            if name in self.trainable and tensor.is_floating_point():
                self.container(owner).register_parameter(leaf, nn.Parameter(tensor))
            else:
                self.container(owner).register_buffer(leaf, tensor)
            self.constants[name] = path
        return self.graph.get_attr(self.constants[name])

    def dequantized(self, name: str) -> fx.Node:
        """The constant ``name``, made of its bytes when the module runs."""
        integers = self.integers[name]
        parts = [self.constant(f"{name}_{part}", each.numpy()) for part, each in integers.tensors().items()]
        return self.graph.call_function(DEQUANTIZE, (*parts, integers.axis, *RANGE))

    def _free(self, path: str) -> str:
        """``path``, with a number behind it where that is the place of something else."""
        tried, count = path, 1
        while self._taken(tried):
            tried, count = f"{path}_{count}", count + 1
        return tried

    def _taken(self, path: str) -> bool:
        module, (*owners, leaf) = self.root, path.split(".")
        for part in owners:
            if not hasattr(module, part):
                return False
            module = getattr(module, part)
            if not isinstance(module, nn.Module):
                return True
        return hasattr(module, leaf)

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
        while self.layers[path] != identity if path in self.layers else self._taken(path):
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

    def integers(self, index: int) -> Integers | None:
        """The bytes that input ``index`` is made of, if it is a constant made of some."""
        return self.build.integers.get(self.node.input[index]) if self.has(index) else None

    def tensor(self, index: int) -> Any:
        """Input ``index`` as a tensor; None where it is left out."""
        value = self.value(index)
        if isinstance(value, np.ndarray):
            if self.integers(index):
                return self.build.dequantized(self.node.input[index])
            return self.build.constant(self.node.input[index], value)
        if value in self.build.sizes:
            return self.call(as_tensor, value, self.dtype(index))
        return value

    def tensors(self, start: int = 0) -> list[Any]:
        """All inputs from ``start`` on as tensors."""
        return [self.tensor(index) for index in range(start, len(self.node.input))]

    def operand(self, index: int) -> Any:
        """Input ``index`` for arithmetic beside a tensor: a single number as that number, where this can't change
        the shape or type of the result."""
        value = self.value(index)
        others = [self.rank(other) for other in range(len(self.node.input)) if other != index]
        beside_tensor = any(rank for rank in others)
        if isinstance(value, np.ndarray):
            if value.ndim == 0 and value.dtype.name in ("float32", "int64"):
                return value.item()
        elif value in self.build.sizes and beside_tensor:
            return self.call(as_operand, value, self.dtype(index))
        return self.tensor(index)

    def rank(self, index: int) -> int | None:
        """The number of dimensions of input ``index``, where known."""
        shape = self.shape(index)
        return None if shape is None else len(shape)

    def shape(self, index: int) -> tuple[int, ...] | None:
        """The shape of input ``index``, where known; a free dimension is 0."""
        if isinstance(value := self.value(index), np.ndarray):
            return value.shape
        return self.build.shapes.get(self.node.input[index]) if self.has(index) else None

    def dtype(self, index: int) -> torch.dtype | None:
        """The element type of input ``index``, where known."""
        if isinstance(value := self.value(index), np.ndarray):
            return dtype_of(value)
        return self.build.dtypes.get(self.node.input[index]) if self.has(index) else None

    def output_dtype(self, index: int = 0) -> torch.dtype | None:
        """The element type of output ``index``, where known."""
        return self.build.dtypes.get(self.node.output[index])

    def gives(self, index: int) -> bool:
        """Whether output ``index`` is asked for."""
        return index < len(self.node.output) and bool(self.node.output[index])

    def numbers(self, index: int, attribute: str | None = None) -> Any:
        """Input ``index`` (or, in older files, an attribute) as Python numbers: known now, or when the module runs."""
        value = self.value(index)
        if value is None:
            return self.attributes.get(attribute) if attribute else None
        if isinstance(value, np.ndarray):
            return value.tolist()
        if value in self.build.sizes:
            return value
        if self.build.for_workload:
            raise Unsupported(f"with input {index} computed from the data")
        return self.call(as_numbers, value)

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute of the node."""
        return self.attributes.get(name, default)

    def call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> fx.Node:
        """Call a function in the graph."""
        return self.build.graph.call_function(function, arguments, options)

    def parts(self, several: fx.Node, count: int) -> tuple[fx.Node, ...]:
        """The ``count`` elements of a value that is a tuple or list."""
        return tuple(self.call(arithmetic.getitem, several, index) for index in range(count))

    def layer(self, layer: nn.Module, *inputs: Any, weight: int | None = None, bias: str = "") -> fx.Node:
        """Call a layer, named after its weights (input ``weight``) or, where these have no name, the node."""
        names = [self.node.input[weight]] if weight is not None else []
        return self.build.layer(
            self._layer_name([*names, bias]), layer, (*self.node.input[1:], bias, str(layer)), *inputs
        )

    def _layer_name(self, tensors: list[str]) -> str:
        for name in tensors:
            if match := re.fullmatch(
                r"([\w.]+?)[._](?:weight|bias)(?:_(?:quantized|DequantizeLinear|dequantized)\w*)?", name
            ):
                return identifier(match[1])
        if self.node.name.startswith("/"):  # torch's older exporter: "/block1/conv1/Conv"
            path = self.node.name.strip("/").split("/")[:-1]
            if path:
                return identifier(".".join(path))
        return identifier(self.node.name or f"{self.node.op_type}_{self.node.output[0]}")


def as_tensor(sizes: Any, dtype: torch.dtype | None) -> torch.Tensor:
    """Sizes as a tensor."""
    return torch.tensor(sizes, dtype=torch.int64 if sizes == [] and dtype is None else dtype)


def as_operand(sizes: Any, dtype: torch.dtype | None) -> Any:
    """Sizes for use beside tensors: a single one as a number."""
    if not isinstance(sizes, list):
        return sizes
    return sizes[0] if len(sizes) == 1 else as_tensor(sizes, dtype)


def as_numbers(tensor: torch.Tensor) -> Any:
    """A tensor's elements as (nested lists of) Python numbers."""
    return tensor.tolist()


def identifier(name: str) -> str:
    """A name as torch takes it for a module or parameter: dotted, without other signs or empty parts."""
    parts = [re.sub(r"\W", "_", part) for part in name.replace("/", ".").split(".") if part]
    return ".".join(parts) or "_"
