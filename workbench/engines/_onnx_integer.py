"""Rewrites quantize/dequantize pairs that ONNX Runtime would compute in float32 into integer operations.

ONNX Runtime turns "dequantize → convolution → quantize" into one int8 kernel by itself. It has none
for three cases that PT2E graphs contain, and would run them in float32:

- activations quantized dynamically: written as ConvInteger and MatMulInteger on DynamicQuantizeLinear;
- a convolution whose output stays float32 (before a residual addition): written as ConvInteger;
- a linear layer with a float32 bias: its bias becomes int32 in steps of (input scale × weight scale),
  which moves an output by half such a step at most.

Operators: https://onnx.ai/onnx/operators/ (opset 20).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench._lazy import lazy

if TYPE_CHECKING:
    import onnx
else:
    onnx = lazy("onnx")


def with_integer_operations(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of ``model`` in which every quantized layer can run on an int8 kernel of ONNX Runtime."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return _Rewrite(copy).run()


class _Rewrite:
    def __init__(self, model: onnx.ModelProto) -> None:
        self.model, self.graph = model, model.graph
        self.values = {tensor.name: tensor for tensor in self.graph.initializer}

    def run(self) -> onnx.ModelProto:
        self._index()
        self._share_dynamic_quantization()
        self._transpose_weights()
        self._unshare_zero_points()
        nodes = []
        for node in self.graph.node:
            nodes += self._rewritten(node)
        self._replace_nodes(nodes)
        self._drop_unused()
        return self.model

    def _index(self) -> None:
        self.producer = {output: node for node in self.graph.node for output in node.output}
        self.users: dict[str, list] = {}
        for node in self.graph.node:
            for value in node.input:
                self.users.setdefault(value, []).append(node)

    def _replace_nodes(self, nodes: list) -> None:
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]  # they live in the list
        del self.graph.node[:]
        self.graph.node.extend(nodes)
        self._index()

    def _share_dynamic_quantization(self) -> None:
        """DynamicQuantizeLinear quantizes too: drop the QuantizeLinear that repeats it."""
        for node in self.graph.node:
            chooser = self.producer.get(node.input[1]) if node.op_type == "QuantizeLinear" else None
            if chooser is not None and chooser.op_type == "DynamicQuantizeLinear" and chooser.input[0] == node.input[0]:
                for user in self.users.get(node.output[0], []):
                    user.input[:] = [chooser.output[0] if v == node.output[0] else v for v in user.input]
        self._index()

    def _transpose_weights(self) -> None:
        """A transposed dequantized weight becomes a dequantized transposed one, which kernels recognise."""
        for node in self.graph.node:
            weight = self.producer.get(node.input[0]) if node.op_type == "Transpose" else None
            if weight is None or not self._is_weight(weight) or self._array(weight.input[0]).ndim != 2:
                continue
            turned = self._constant(f"{node.output[0]}_int8", self._array(weight.input[0]).T.copy())
            node.CopyFrom(
                onnx.helper.make_node(
                    "DequantizeLinear", [turned, *weight.input[1:]], list(node.output), name=node.name, axis=1
                )
            )
        self._index()

    def _unshare_zero_points(self) -> None:
        """One zero point tensor per weight: ONNX Runtime's change to u8 weights renames each, and fails if shared."""
        for node in self.graph.node:
            if self._is_weight(node):
                node.input[2] = self._constant(f"{node.output[0]}_zero_point", self._array(node.input[2]))

    def _rewritten(self, node: onnx.NodeProto) -> list:
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            return [node]
        inputs, weight = (self.producer.get(value) for value in node.input[:2])
        if inputs is None or weight is None or inputs.op_type != "DequantizeLinear" or not self._is_weight(weight):
            return [node]
        dynamic = inputs.input[1] not in self.values
        if node.op_type == "Conv":
            return self._integer(node, inputs, weight) if dynamic or not self._requantized(node) else [node]
        if dynamic:
            return self._integer(node, inputs, weight)
        return self._integer_bias(node, inputs, weight) if node.op_type == "Gemm" else [node]

    def _is_weight(self, node: onnx.NodeProto) -> bool:
        """Whether a node dequantizes an int8 constant whose zero points are 0."""
        if node.op_type != "DequantizeLinear" or any(value not in self.values for value in node.input):
            return False
        return self._array(node.input[0]).dtype == np.int8 and not self._array(node.input[2]).any()

    def _requantized(self, node: onnx.NodeProto) -> bool:
        """Whether the result goes to nothing but a quantization, an activation function apart."""
        users = self.users.get(node.output[0], [])
        if len(users) == 1 and users[0].op_type in ("Relu", "Clip"):
            users = self.users.get(users[0].output[0], [])
        return len(users) == 1 and users[0].op_type == "QuantizeLinear"

    def _integer(self, node: onnx.NodeProto, inputs: onnx.NodeProto, weight: onnx.NodeProto) -> list:
        quantized, input_scale, input_zero = inputs.input
        out, name = node.output[0], node.name
        weights = self._array(weight.input[0])
        scales = np.atleast_1d(self._array(weight.input[1])).astype(np.float32)
        convolution = node.op_type == "Conv"
        per_channel = (-1, *[1] * (weights.ndim - 2)) if convolution else (-1,)
        if _attributes(node).get("transB"):
            weights = weights.T.copy()
        multiply = onnx.helper.make_node(
            "ConvInteger" if convolution else "MatMulInteger",
            [quantized, self._constant(f"{out}_weight", weights), input_zero],
            [f"{out}_int32"],
            name=name,
            **(_attributes(node) if convolution else {}),
        )
        nodes = [multiply, _node("Cast", [f"{out}_int32"], f"{out}_sum", name, to=onnx.TensorProto.FLOAT)]
        scale = self._constant(f"{out}_weight_scale", scales.reshape(per_channel))
        if input_scale in self.values:
            product = scales * self._array(input_scale)
            scale = self._constant(f"{out}_scale", product.reshape(per_channel).astype(np.float32))
        else:
            nodes.append(_node("Mul", [input_scale, scale], f"{out}_scale", name))
            scale = f"{out}_scale"
        bias = node.input[2] if len(node.input) > 2 else ""
        nodes.append(_node("Mul", [f"{out}_sum", scale], f"{out}_scaled" if bias else out, name))
        if bias:
            shaped = self._constant(f"{out}_bias", self._array(bias).reshape(per_channel))
            nodes.append(_node("Add", [f"{out}_scaled", shaped], out, name))
        return nodes

    def _integer_bias(self, node: onnx.NodeProto, inputs: onnx.NodeProto, weight: onnx.NodeProto) -> list:
        if len(node.input) < 3 or node.input[2] not in self.values:
            return [node]
        out = node.output[0]
        bias = self._array(node.input[2])
        step = np.broadcast_to(self._array(weight.input[1]) * self._array(inputs.input[1]), bias.shape)
        steps = np.rint(bias.astype(np.float64) / step)
        if np.abs(steps).max(initial=0) > np.iinfo(np.int32).max:
            return [node]
        dequantize = onnx.helper.make_node(
            "DequantizeLinear",
            [
                self._constant(f"{out}_bias_int32", steps.astype(np.int32)),
                self._constant(f"{out}_bias_scale", np.ascontiguousarray(step, dtype=np.float32)),
            ],
            [f"{out}_bias"],
            name=f"{node.name}/bias",
            axis=0,
        )
        node.input[2] = f"{out}_bias"
        return [dequantize, node]

    def _drop_unused(self) -> None:
        """Remove what nothing reads any more: nodes first, then constants."""
        outputs = {value.name for value in self.graph.output}
        while True:
            used = outputs | {value for node in self.graph.node for value in node.input}
            kept = [node for node in self.graph.node if used & set(node.output)]
            if len(kept) == len(self.graph.node):
                break
            self._replace_nodes(kept)
        constants = [tensor for tensor in self.graph.initializer if tensor.name in used]
        constants = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in constants]
        del self.graph.initializer[:]
        self.graph.initializer.extend(constants)

    def _array(self, name: str) -> np.ndarray:
        return onnx.numpy_helper.to_array(self.values[name])

    def _constant(self, name: str, array: np.ndarray) -> str:
        self.values[name] = onnx.numpy_helper.from_array(array, name)
        self.graph.initializer.append(self.values[name])
        return name


def _attributes(node: onnx.NodeProto) -> dict:
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


def _node(kind: str, inputs: list[str], output: str, name: str, **attributes) -> onnx.NodeProto:
    return onnx.helper.make_node(kind, inputs, [output], name=f"{name}/{output}", **attributes)
