"""Rewrites quantize/dequantize pairs so that ONNX Runtime computes them with its fast int8 kernels.

ONNX Runtime turns "dequantize → convolution → quantize" into one int8 kernel by itself, also where activation
functions, max-pooling or a change of shape come before the quantization. What else PT2E graphs contain it would run in
float32, or slowly:

- activations quantized dynamically: written as ConvInteger and MatMulInteger on DynamicQuantizeLinear;
- a convolution whose output stays float32 (before a residual addition): written as a product over columns, or, if it
  has groups, with its weights as float32 constants, which its float32 kernels need;
- a convolution of channels that are no multiple of four: filled up with empty ones;
- limits between a convolution and a quantization that are narrower than a byte's: put after the quantization;
- a linear layer with a float32 bias: its bias becomes int32 in steps of (input scale × weight scale),
  which moves an output by half such a step at most.

Operators: https://onnx.ai/onnx/operators/ (opset 20).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.engines.onnx import columns
from workbench.engines.onnx.graph import OnnxGraph, attributes, part
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import onnx
else:
    onnx = lazy("onnx")

COMMUTING = {"Relu", "Clip", "MaxPool", "Reshape", "Transpose"}
"""What may as well come after a quantization, to the bit: it doesn't change the order of values, or only moves them."""


def with_integer_operations(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of ``model`` in which every quantized layer can run on ONNX Runtime's fastest kernel for it.

    That is an int8 one but for a convolution with groups whose result isn't quantized again.
    """
    return _Rewrite(OnnxGraph(model)).run()


class _Rewrite:
    def __init__(self, graph: OnnxGraph) -> None:
        self.graph = graph

    def run(self) -> onnx.ModelProto:
        self._share_dynamic_quantization()
        self._transpose_weights()
        self._unshare_zero_points()
        self._scale_zeros()
        self._limit_after_quantization()
        nodes = []
        for node in self.graph.nodes:
            nodes += self._rewritten(node)
        self.graph.replace_nodes(nodes)
        self.graph.drop_unused()
        return self.graph.model

    def _share_dynamic_quantization(self) -> None:
        """DynamicQuantizeLinear quantizes too: drop the QuantizeLinear that repeats it."""
        for node in self.graph.nodes:
            chooser = self.graph.producer.get(node.input[1]) if node.op_type == "QuantizeLinear" else None
            if chooser is not None and chooser.op_type == "DynamicQuantizeLinear" and chooser.input[0] == node.input[0]:
                for user in self.graph.users.get(node.output[0], []):
                    user.input[:] = [chooser.output[0] if v == node.output[0] else v for v in user.input]
        self.graph.index()

    def _transpose_weights(self) -> None:
        """A transposed dequantized weight becomes a dequantized transposed one, which kernels recognise."""
        for node in self.graph.nodes:
            weight = self.graph.producer.get(node.input[0]) if node.op_type == "Transpose" else None
            if weight is None or not self._is_weight(weight) or self.graph.array(weight.input[0]).ndim != 2:
                continue
            turned = self.graph.constant(f"{node.output[0]}_int8", self.graph.array(weight.input[0]).T.copy())
            node.CopyFrom(
                onnx.helper.make_node(
                    "DequantizeLinear", [turned, *weight.input[1:]], list(node.output), name=node.name, axis=1
                )
            )
        self.graph.index()

    def _unshare_zero_points(self) -> None:
        """One zero point tensor per weight: ONNX Runtime's change to u8 weights renames each, and fails if shared."""
        for node in self.graph.nodes:
            if self._is_weight(node):
                node.input[2] = self.graph.constant(f"{node.output[0]}_zero_point", self.graph.array(node.input[2]))

    def _scale_zeros(self) -> None:
        """Weights times zero become zeros times a usual scale: a bias is counted in steps of that."""
        for node in self.graph.nodes:
            if not self._is_weight(node) or (scales := self.graph.array(node.input[1])).all() or not scales.ndim:
                continue
            weights = self.graph.array(node.input[0])
            along = [1] * weights.ndim
            along[attributes(node).get("axis", 1)] = -1
            usual = np.where(scales != 0, scales, abs(scales).max() or 1).astype(np.float32)
            node.input[0] = self.graph.constant(f"{node.output[0]}_used", weights * (scales != 0).reshape(along))
            node.input[1] = self.graph.constant(f"{node.output[0]}_scales", usual)
        self.graph.index()

    def _limit_after_quantization(self) -> None:
        """Limits of a convolution's result that are narrower than a byte's, as those of 7 bits, hold for the bytes.

        Rounding keeps the order of values, so that is the same to the bit. ONNX Runtime has int8 kernels for a
        convolution that is quantized at once, and fuses such limits into a float one.
        """
        nodes = []
        for node in self.graph.nodes:
            limits = self._limits_before(node)
            if limits is None:
                nodes.append(node)
                continue
            nodes.remove(limits)
            (made,), bounds = list(node.output), [self._quantized(value, node) for value in limits.input[1:]]
            node.input[0], node.output[0] = limits.input[0], f"{made}_unlimited"
            nodes += [node, part("Clip", [node.output[0], *bounds], made, limits.name)]
        self.graph.replace_nodes(nodes)

    def _limits_before(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        """The Clip between a convolution and this quantization with known scales, if there is nothing but that."""
        limits = self.graph.producer.get(node.input[0]) if node.op_type == "QuantizeLinear" else None
        if limits is None or limits.op_type != "Clip" or len(self.graph.users[limits.output[0]]) > 1:
            return None
        limited = self.graph.producer.get(limits.input[0])
        known = all(value in self.graph.values for value in (*node.input[1:], *limits.input[1:]))
        if limited is None or limited.op_type != "Conv" or not known or len(limits.input) < 3:
            return None
        bounds = [int(self._byte(value, node)) for value in limits.input[1:]]
        return None if bounds == [0, 255] else limits

    def _byte(self, value: str, quantize: onnx.NodeProto) -> np.ndarray:
        """What a quantization makes of a constant; https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html."""
        number, scale, zero_point = (self.graph.array(each) for each in (value, *quantize.input[1:]))
        return np.clip(np.rint(number / scale) + zero_point, 0, 255).astype(np.uint8)

    def _quantized(self, value: str, quantize: onnx.NodeProto) -> str:
        return self.graph.constant(f"{value}_{quantize.output[0]}", self._byte(value, quantize))

    def _rewritten(self, node: onnx.NodeProto) -> list:
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            return [node]
        inputs, weight = (self.graph.producer.get(value) for value in node.input[:2])
        if inputs is None or weight is None or inputs.op_type != "DequantizeLinear" or not self._is_weight(weight):
            return [node]
        if inputs.input[1] not in self.graph.values:
            return self._dynamic(node, inputs, weight)
        if node.op_type == "Conv":
            return self._convolution(node, inputs, weight)
        return self._integer_bias(node, inputs, weight) if node.op_type == "Gemm" else [node]

    def _convolution(self, node: onnx.NodeProto, image: onnx.NodeProto, weight: onnx.NodeProto) -> list:
        if self._requantized(node):
            return self._four_channels(node, image, weight)
        if not columns.fits(self.graph, node):
            node.input[1] = self.graph.constant(f"{node.output[0]}_weight", self._float_weights(weight))
            return [node]
        *before, multiply, reshape, transpose = columns.as_product(self.graph, node, image, weight)
        made = {new.output[0]: new for new in before}
        multiply = self._integer_bias(multiply, *(made[value] for value in multiply.input[:2]))
        return [*before, *multiply, reshape, transpose]

    def _float_weights(self, weight: onnx.NodeProto) -> np.ndarray:
        weights, scales = (self.graph.array(value) for value in weight.input[:2])
        return weights * scales.reshape(-1, *[1] * (weights.ndim - 1)).astype(np.float32)

    def _is_weight(self, node: onnx.NodeProto) -> bool:
        """Whether a node dequantizes an int8 constant whose zero points are 0."""
        if node.op_type != "DequantizeLinear" or any(value not in self.graph.values for value in node.input):
            return False
        return self.graph.array(node.input[0]).dtype == np.int8 and not self.graph.array(node.input[2]).any()

    def _requantized(self, node: onnx.NodeProto) -> bool:
        """Whether the result goes to nothing but a quantization, which ONNX Runtime moves before what comes first."""
        users = self.graph.users.get(node.output[0], [])
        while len(users) == 1 and users[0].op_type in COMMUTING:
            users = self.graph.users.get(users[0].output[0], [])
        return len(users) == 1 and users[0].op_type == "QuantizeLinear"

    def _four_channels(self, node: onnx.NodeProto, image: onnx.NodeProto, weight: onnx.NodeProto) -> list:
        """Fill up the channels to a multiple of four: ONNX Runtime's fastest convolutions read four bytes at a time.

        They also write 16 channels or more, in fours. Measured with AVX-512 VNNI on 1 to 30 channels and kernels of 1
        to 7: 1.0 to 1.8 times as fast with what filling costs, and no gain where the outputs don't fit.
        """
        weights = self.graph.array(weight.input[0])
        missing = -weights.shape[1] % 4
        if not missing or len(weights) % 4 or len(weights) < 16 or attributes(node).get("group", 1) > 1:
            return [node]
        out, image_axes = node.output[0], weights.ndim - 2
        none = [0] * image_axes
        widths = self.graph.constant(f"{out}_pads", np.array([0, 0, *none, 0, missing, *none]))
        filled = np.pad(weights, [(0, 0), (0, missing), *[(0, 0)] * image_axes])
        filled = self.graph.constant(f"{out}_weight", filled)
        zeros = self.graph.constant(f"{out}_weight_zero_point", self.graph.array(weight.input[2]))
        quantized, scale, zero_point = image.input
        node.input[:2] = [f"{out}_image", f"{out}_weights"]
        return [
            part("Pad", [quantized, widths, zero_point], f"{out}_filled", node.name),
            part("DequantizeLinear", [f"{out}_filled", scale, zero_point], f"{out}_image", node.name),
            part("DequantizeLinear", [filled, weight.input[1], zeros], f"{out}_weights", node.name, axis=0),
            node,
        ]

    def _dynamic(self, node: onnx.NodeProto, inputs: onnx.NodeProto, weight: onnx.NodeProto) -> list:
        quantized, input_scale, input_zero = inputs.input
        out, name = node.output[0], node.name
        weights = self.graph.array(weight.input[0])
        scales = np.atleast_1d(self.graph.array(weight.input[1])).astype(np.float32)
        convolution = node.op_type == "Conv"
        per_channel = (-1, *[1] * (weights.ndim - 2)) if convolution else (-1,)
        if attributes(node).get("transB"):
            weights = weights.T.copy()
        multiply = onnx.helper.make_node(
            "ConvInteger" if convolution else "MatMulInteger",
            [quantized, self.graph.constant(f"{out}_weight", weights), input_zero],
            [f"{out}_int32"],
            name=name,
            **(attributes(node) if convolution else {}),
        )
        scale = self.graph.constant(f"{out}_weight_scale", scales.reshape(per_channel))
        bias = node.input[2] if len(node.input) > 2 else ""
        nodes = [
            multiply,
            part("Cast", [f"{out}_int32"], f"{out}_sum", name, to=onnx.TensorProto.FLOAT),
            part("Mul", [input_scale, scale], f"{out}_scale", name),
            part("Mul", [f"{out}_sum", f"{out}_scale"], f"{out}_scaled" if bias else out, name),
        ]
        if bias:
            shaped = self.graph.constant(f"{out}_bias", self.graph.array(bias).reshape(per_channel))
            nodes.append(part("Add", [f"{out}_scaled", shaped], out, name))
        return nodes

    def _integer_bias(self, node: onnx.NodeProto, inputs: onnx.NodeProto, weight: onnx.NodeProto) -> list:
        if len(node.input) < 3 or node.input[2] not in self.graph.values:
            return [node]
        out = node.output[0]
        bias = self.graph.array(node.input[2])
        step = np.broadcast_to(self.graph.array(weight.input[1]) * self.graph.array(inputs.input[1]), bias.shape)
        steps = np.rint(bias.astype(np.float64) / step)
        if np.abs(steps).max(initial=0) > np.iinfo(np.int32).max:
            return [node]
        dequantize = onnx.helper.make_node(
            "DequantizeLinear",
            [
                self.graph.constant(f"{out}_bias_int32", steps.astype(np.int32)),
                self.graph.constant(f"{out}_bias_scale", np.ascontiguousarray(step, dtype=np.float32)),
            ],
            [f"{out}_bias"],
            name=f"{node.name}/bias",
            axis=0,
        )
        node.input[2] = f"{out}_bias"
        return [dequantize, node]
