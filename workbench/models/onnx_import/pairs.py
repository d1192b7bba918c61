"""Operators on quantized values, written as what they stand for: dequantize, compute in floats, quantize again.

This is the form that engines read. It differs from the operators' own arithmetic by the rounding of floats, so now and
then by a step. What has scales that aren't in the file stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

_FLOAT_OPERATORS = {
    "QLinearConv": ("Conv", 2),
    "QLinearMatMul": ("MatMul", 2),
    "QLinearAdd": ("Add", 2),
    "QLinearMul": ("Mul", 2),
    "QLinearSigmoid": ("Sigmoid", 1),
    "QLinearLeakyRelu": ("LeakyRelu", 1),
    "QLinearAveragePool": ("AveragePool", 1),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", 1),
    "QGemm": ("Gemm", 2),
}
"""What each computes and on how many values, in ONNX or as ONNX Runtime's own tools write it."""
_INTEGER_OPERATORS = {"ConvInteger": "Conv", "MatMulInteger": "MatMul"}
_MOVING = {
    "Expand", "Flatten", "Gather", "Identity", "MaxPool", "Pad", "Reshape", "Slice", "Split", "Squeeze", "Transpose",
    "Unsqueeze",
}  # fmt: skip
"""Operators that pick or move values."""
_IGNORED_WHERE_0 = ("channels_last",)
_DOMAINS = ("", "ai.onnx", "com.microsoft")


def as_pairs(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with quantized operators so written; the one given stays as it is."""
    kinds = {node.op_type for node in model.graph.node if node.domain in _DOMAINS}
    if kinds.isdisjoint({"QuantizeLinear", "QLinearConcat", *_FLOAT_OPERATORS, *_INTEGER_OPERATORS}):
        return model
    return _Rewriting(model).rewritten()


class _Rewriting:
    """One walk over the nodes. ``ranges``: scale and zero point of values that are quantized in one of the file's."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
        self._producers = {name: node for node in model.graph.node for name in node.output}
        self._users: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self._users.setdefault(name, []).append(node)
            if node.op_type == "Constant" and (value := _attributes(node).get("value")) is not None:
                self._constants[node.output[0]] = numpy_helper.to_array(value)
        self._results = {entry.name for entry in model.graph.output}
        self._ranges: dict[str, tuple[str, str]] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._made: dict[tuple, str] = {}
        self._added: list[onnx.TensorProto] = []
        self._done: set[str] = set()

    def rewritten(self) -> onnx.ModelProto:
        for node in self._model.graph.node:
            if node.output[0] not in self._done and not self._rewrite(node):
                self._nodes.append(node)
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        del model.graph.node[:]
        model.graph.node.extend(self._nodes)
        model.graph.initializer.extend(self._added)
        return model

    def _rewrite(self, node: onnx.NodeProto) -> bool:
        """Write a node otherwise, if it is one that can be."""
        if node.domain not in _DOMAINS:
            return False
        if node.op_type == "QuantizeLinear" and len(node.input) == 3 and self._have_ranges([node.input]):
            self._ranges[node.output[0]] = (node.input[1], node.input[2])
        if node.op_type in _FLOAT_OPERATORS:
            return self._compute_in_floats(node)
        if node.op_type == "QLinearConcat":
            return self._join(node)
        if node.op_type in _INTEGER_OPERATORS:
            return self._compute_in_own_range(node)
        if node.op_type in _MOVING and node.input[0] in self._ranges and (len(node.output) == 1 or _splits(node)):
            return self._move(node)
        return False

    def _compute_in_floats(self, node: onnx.NodeProto) -> bool:
        kind, count = _FLOAT_OPERATORS[node.op_type]
        settings = {name: value for name, value in _attributes(node).items() if value or name not in _IGNORED_WHERE_0}
        operands = [node.input[3 * index : 3 * index + 3] for index in range(count)]
        rest = list(node.input[3 * count :])
        bias = rest.pop(0) if kind == "Gemm" and rest else rest.pop(2) if kind == "Conv" and len(rest) > 2 else ""
        rest = list(filter(None, rest))
        if not self._have_ranges(operands) or not self._are_known(filter(None, [*rest, bias])):
            return False
        scaled = kind == "Gemm" and settings.get("alpha", 1.0) != 1.0  # which its bias would have to be as well
        if scaled or any(name in settings for name in _IGNORED_WHERE_0):
            return False
        axes = {"Conv": 0, "Gemm": 0 if settings.get("transB") else 1, "MatMul": -1}
        inputs = [self._dequantized(*operand, axis=axes.get(kind, 0)) for operand in operands]
        if bias:
            inputs.append(self._bias(bias, operands[0][1], operands[1][1]))
        self._add(kind, inputs, node, rest, **settings)
        return True

    def _join(self, node: onnx.NodeProto) -> bool:
        rest, values = node.input[:2], list(node.input[2:])
        operands = [values[start : start + 3] for start in range(0, len(values), 3)]
        if not self._have_ranges(operands) or not self._are_known(rest):
            return False
        self._add("Concat", [self._dequantized(*operand) for operand in operands], node, rest, **_attributes(node))
        return True

    def _compute_in_own_range(self, node: onnx.NodeProto) -> bool:
        """DynamicQuantizeLinear, a product, its conversion to floats and their scaling, which are one with it."""
        quantized, weight, zero_point, weight_zero_point = [*node.input, "", ""][:4]
        chooser = self._producers.get(quantized)
        if chooser is None or chooser.op_type != "DynamicQuantizeLinear" or chooser.output[2] != zero_point:
            return False
        cast = self._only_user(node.output[0], "Cast")
        scaled = cast and self._only_user(cast.output[0], "Mul")
        scales = scaled and self._producers.get(_other(scaled, cast.output[0]))
        if not scales or scales.op_type != "Mul" or chooser.output[1] not in scales.input:
            return False
        scale = _other(scales, chooser.output[1])
        if not self._are_known(filter(None, [weight, scale, weight_zero_point])):
            return False
        axis = 0 if node.op_type == "ConvInteger" else -1
        if self._constants[scale].ndim > 1:
            scale = self._constant(f"{scale}_flat", self._constants[scale].ravel())
        inputs = [
            self._dequantized(quantized, chooser.output[1], zero_point),
            self._dequantized(weight, scale, weight_zero_point, axis=axis),
        ]
        last = self._sum_with_bias(scaled) if node.op_type == "ConvInteger" else None
        if last:
            inputs.append(self._producers[_other(last, scaled.output[0])].input[0])
        whole = helper.make_node(node.op_type, node.input, (last or scaled).output, name=node.name)
        self._add(_INTEGER_OPERATORS[node.op_type], inputs, whole, (), **_attributes(node))
        self._done |= {each.output[0] for each in (cast, scaled, last or scaled)}
        return True

    def _sum_with_bias(self, product: onnx.NodeProto) -> onnx.NodeProto | None:
        """The sum of a product and one number for each channel, where nothing else uses the product."""
        total = self._only_user(product.output[0], "Add")
        reshape = total and self._producers.get(_other(total, product.output[0]))
        if not reshape or reshape.op_type != "Reshape" or not self._are_known(reshape.input[:2]):
            return None
        bias, shape = (self._constants[name] for name in reshape.input[:2])
        return total if bias.ndim == 1 and len(shape) > 1 and {*shape[:1], *shape[2:]} == {1} else None

    def _move(self, node: onnx.NodeProto) -> bool:
        value_range = self._ranges[node.input[0]]
        inputs = [self._dequantized(node.input[0], *value_range), *node.input[1:]]
        if node.op_type == "Pad":
            filling = node.input[2] if len(node.input) > 2 else ""
            if len(node.input) < 2 or not self._are_known(filter(None, [filling])):
                return False
            scale, zero_point = (self._constants[name] for name in value_range)
            steps = (self._constants[filling].astype(int) if filling else 0) - zero_point.astype(int)
            inputs[2:3] = [self._constant(f"{node.output[0]}_filling", np.float32(steps * scale).reshape(()))]
        self._add(node.op_type, inputs, node, value_range, **_attributes(node))
        return True

    def _add(
        self, kind: str, inputs: Sequence[str], whole: onnx.NodeProto, value_range: Sequence[str], **settings
    ) -> None:
        """What a node computes, in floats; in a range, if one is given, quantized in it."""
        floats = [f"{name}_floats" if value_range else name for name in whole.output]
        self._nodes.append(helper.make_node(kind, inputs, floats, name=whole.name, **settings))
        if value_range:
            for name, quantized in zip(floats, whole.output, strict=True):
                self._nodes.append(helper.make_node("QuantizeLinear", [name, *value_range], [quantized]))
                self._ranges[quantized] = tuple(value_range)

    def _dequantized(self, value: str, scale: str, zero_point: str, *, axis: int = 0) -> str:
        """The name of a value's floats."""
        key = value, scale, zero_point, axis
        if key not in self._made:
            self._made[key] = f"{value}_dequantized_{len(self._made)}"
            settings = {"axis": axis} if value in self._constants else {}
            node = helper.make_node("DequantizeLinear", [value, scale, zero_point], [self._made[key]], **settings)
            self._nodes.append(node)
        return self._made[key]

    def _bias(self, bias: str, scale: str, weight_scale: str) -> str:
        """The floats that a bias in steps of both scales stands for."""
        step = self._constants[scale].astype(np.float64).ravel() * self._constants[weight_scale].ravel()
        return self._constant(f"{bias}_dequantized", (self._constants[bias] * step).astype(np.float32))

    def _constant(self, name: str, array: np.ndarray) -> str:
        name = f"{name}_{len(self._added)}"
        self._added.append(numpy_helper.from_array(array, name))
        return name

    def _have_ranges(self, operands: Sequence[Sequence[str]]) -> bool:
        """Whether values have scales and zero points in the file, those that are computed one of each."""
        return all(
            self._are_known(value_range) and (value in self._constants or self._constants[value_range[0]].size == 1)
            for value, *value_range in operands
        )

    def _are_known(self, names: Iterator[str] | Sequence[str]) -> bool:
        return all(name in self._constants for name in names)

    def _only_user(self, name: str, kind: str) -> onnx.NodeProto | None:
        users = self._users.get(name, [])
        return users[0] if len(users) == 1 and users[0].op_type == kind and name not in self._results else None


def _splits(node: onnx.NodeProto) -> bool:
    """Whether all its outputs are values: the second of a pool are places."""
    return node.op_type == "Split" and all(node.output)


def _other(node: onnx.NodeProto, name: str) -> str:
    """The one of two inputs that isn't ``name``."""
    return next((each for each in node.input if each != name), "")


def _attributes(node: onnx.NodeProto) -> dict:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}
