"""A convolution as one matrix product over columns (im2col), built from ONNX's own operators.

ONNX Runtime's int8 convolution gives int8 and nothing else; its int8 product ``QGemm`` also gives float32. So where a
convolution's result is added to another one unrounded, each output pixel's inputs are laid side by side, axis by axis:
for a kernel of three, three slices of the padded image, each shifted by one, become one image of three times the
channels. Two such steps make the columns of a 3×3 kernel. What a step copies is bytes, a small part of the product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.engines.onnx.graph import OnnxGraph, attributes, part
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import onnx
else:
    onnx = lazy("onnx")

_TO_THE_END = np.iinfo(np.int32).max


def fits(graph: OnnxGraph, convolution: onnx.NodeProto) -> bool:
    """Whether it has one group, padding in numbers, and an output whose size is known but for the batch."""
    known = attributes(convolution)
    image = graph.shapes.get(convolution.output[0], [])[2:]
    padded_by_rule = known.get("auto_pad", b"NOTSET") != b"NOTSET"
    return known.get("group", 1) == 1 and not padded_by_rule and min(image, default=0) > 0


def as_product(
    graph: OnnxGraph, convolution: onnx.NodeProto, image: onnx.NodeProto, weight: onnx.NodeProto
) -> list[onnx.NodeProto]:
    """The nodes that compute ``convolution``; the last three multiply, shape the product and turn it.

    The one that multiplies is a ``Gemm`` with the convolution's name. What comes before makes its inputs.
    ``image`` and ``weight`` are the DequantizeLinear nodes it reads: uint8 [N, C, H, W] and int8 [O, C, kH, kW], or
    the same with another number of axes.
    """
    out, name = convolution.output[0], convolution.name
    quantized, scale, zero_point = image.input
    weights = graph.array(weight.input[0])
    outputs, axes = len(weights), range(2, weights.ndim)
    nodes = [part("Transpose", [quantized], f"{out}_channels_last", name, perm=[0, *axes, 1])]
    nodes += _columns(graph, convolution, weights.shape[2:], nodes[0].output[0], zero_point)
    row = graph.constant(f"{out}_row", np.array([-1, weights[0].size]))
    shape = graph.constant(f"{out}_shape", np.array([-1, *graph.shapes[out][2:], outputs]))
    turned = graph.constant(f"{out}_weight", weights.transpose(*axes, 1, 0).reshape(-1, outputs).copy())
    zeros = graph.constant(f"{out}_weight_zero_point", graph.array(weight.input[2]))
    return [
        *nodes,
        part("Reshape", [nodes[-1].output[0], row], f"{out}_rows", name),
        part("DequantizeLinear", [f"{out}_rows", scale, zero_point], f"{out}_inputs", name),
        part("DequantizeLinear", [turned, weight.input[1], zeros], f"{out}_weights", name, axis=1),
        onnx.helper.make_node(
            "Gemm", [f"{out}_inputs", f"{out}_weights", *convolution.input[2:]], [f"{out}_product"], name=name
        ),
        part("Reshape", [f"{out}_product", shape], f"{out}_image", name),
        part("Transpose", [f"{out}_image"], out, name, perm=[0, len(axes) + 1, *range(1, len(axes) + 1)]),
    ]


def _columns(
    graph: OnnxGraph, convolution: onnx.NodeProto, kernel: tuple[int, ...], image: str, zero_point: str
) -> list[onnx.NodeProto]:
    """From [N, H, W, C] to [N, H', W', kH · kW · C]."""
    out, name, known = convolution.output[0], convolution.name, attributes(convolution)
    ones = [1] * len(kernel)
    strides, dilations = known.get("strides", ones), known.get("dilations", ones)
    pads = known.get("pads", [0] * 2 * len(kernel))
    nodes = []
    if any(pads):
        before, after = pads[: len(kernel)], pads[len(kernel) :]
        widths = graph.constant(f"{out}_pads", np.array([0, *before, 0, 0, *after, 0]))
        nodes.append(part("Pad", [image, widths, zero_point], f"{out}_padded", name))
        image = f"{out}_padded"
    for axis in range(len(kernel), 0, -1):
        size, stride, dilation = kernel[axis - 1], strides[axis - 1], dilations[axis - 1]
        if size == stride == 1:
            continue
        shifted = [f"{out}_axis{axis}_tap{tap}" for tap in range(size)]
        for tap, value in enumerate(shifted):
            end = -(size - 1 - tap) * dilation or _TO_THE_END
            bounds = {"start": tap * dilation, "end": end, "axis": axis, "step": stride}
            ranges = [graph.constant(f"{value}_{key}", np.array([number])) for key, number in bounds.items()]
            nodes.append(part("Slice", [image, *ranges], value, name))
        image = f"{out}_axis{axis}"
        nodes.append(part("Concat", shifted, image, name, axis=len(kernel) + 1))
    return nodes
