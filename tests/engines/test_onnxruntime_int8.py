"""How the ONNX Runtime engine computes statically quantized convolutions."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from workbench import engines
from workbench.engines.onnx import integer
from workbench.engines.onnx.export import exported
from workbench.engines.onnx.integer import with_integer_operations
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Data

if reason := engines.find("onnxruntime").unavailable():
    pytest.skip(reason, allow_module_level=True)


def quantized(*layers: nn.Module, shape: tuple[int, ...] = (3, 12, 12)) -> Variant:
    torch.manual_seed(0)
    train = Data(images(32, shape), torch.zeros(32, dtype=torch.long))
    context = Context(train=train, saturates=engines.find("onnxruntime").saturates())
    return Quantize(calibration="range").apply(Variant(nn.Sequential(*layers).eval()), context)


def images(batch: int, shape: tuple[int, ...] = (3, 12, 12)) -> torch.Tensor:
    return torch.rand(batch, *shape, generator=torch.Generator().manual_seed(batch)) - 0.3


def prepared(variant: Variant, shape: tuple[int, ...] = (3, 12, 12)):
    return engines.find("onnxruntime").prepare(variant, images(4, shape), threads=1)


def same(made: torch.Tensor, expected: torch.Tensor, layers: int) -> bool:
    """Whether they differ by no more than one of 255 steps for each layer: a value may round the other way."""
    return (made - expected).abs().max().item() <= layers / 255 * expected.abs().max().item()


BEFORE_A_QUANTIZATION = {
    "activation, pooling": (nn.ReLU(), nn.MaxPool2d(2)),
    "pooling, activation": (nn.MaxPool2d(3, 2, 1), nn.ReLU()),
    "bounded activation, pooling": (nn.ReLU6(), nn.MaxPool2d(2)),
    "nothing": (),
    "another shape": (nn.Unflatten(1, (4, 4)), nn.Flatten(1, 2), nn.MaxPool2d(2)),
}


@pytest.mark.parametrize("between", BEFORE_A_QUANTIZATION)
def test_a_convolution_stays_on_the_int8_kernel_whatever_moves_past_the_quantization(between):
    variant = quantized(nn.Conv2d(3, 16, 3), *BEFORE_A_QUANTIZATION[between], nn.Conv2d(16, 16, 3), nn.Flatten(1))
    made = prepared(variant)
    assert made.kernels["0"].name == "QLinearConv"
    assert {kernel.reality for kernel in made.kernels.values()} == {"real"}
    for batch in (1, 4, 5):
        assert same(made(images(batch)), variant.graph(images(batch)), layers=2)


CONVOLUTIONS = {
    "3×3": nn.Conv2d(3, 8, 3, padding=1),
    "1×1": nn.Conv2d(3, 8, 1),
    "1×1, stride 2": nn.Conv2d(3, 8, 1, stride=2, bias=False),
    "uneven": nn.Conv2d(3, 8, (2, 5), stride=(1, 3), padding=(0, 2)),
    "dilated": nn.Conv2d(3, 8, 3, dilation=(2, 3), padding=1, stride=2),
    "one axis": nn.Conv1d(3, 8, 4, stride=2, padding=3),
}


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_a_convolution_whose_result_stays_float_runs_as_an_int8_product_of_the_same_value(kind):
    convolution = CONVOLUTIONS[kind]
    shape = (3, 12) if isinstance(convolution, nn.Conv1d) else (3, 12, 12)
    variant = quantized(convolution, nn.Sigmoid(), shape=shape)
    made = prepared(variant, shape)
    kernel = made.kernels["0"]
    assert (kernel.name, kernel.dtype, kernel.reality) == ("QGemm", "int8", "real")
    for batch in (1, 4, 5):
        expected = variant.graph(images(batch, shape))
        # The bias is rounded to half a step of input × weight, at most 1/255 × 1/(127·√fan-in) here, and a sigmoid's
        # slope is 1/4; the sum of at most 30 products is rounded to float32: far below.
        assert (made(images(batch, shape)) - expected).abs().max().item() <= 0.5 * 0.25 / 255 / 127 + 1e-6


@pytest.mark.parametrize("groups", [2, 8])
def test_a_grouped_convolution_whose_result_stays_float_runs_in_float32_and_says_so(groups):
    shape = (8, 12, 12)
    variant = quantized(nn.Conv2d(8, 8, 3, groups=groups), nn.Sigmoid(), shape=shape)
    made = prepared(variant, shape)
    kernel = made.kernels["0"]
    assert (kernel.dtype, kernel.reality) == ("float32", "simulated")
    assert "no fast int8 kernel" in kernel.reason
    for batch in (1, 4, 5):
        # Float32 either way: sums of at most 36 products below 2 in another order.
        assert torch.allclose(made(images(batch, shape)), variant.graph(images(batch, shape)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("layer", [nn.Conv2d(3, 16, 3, padding=1), nn.Conv1d(6, 20, 3, stride=2)])
def test_channels_are_filled_up_to_four_without_any_change_of_the_result(layer, monkeypatch):
    shape = (layer.in_channels, *[12] * (layer.weight.dim() - 2))
    variant = quantized(layer, nn.ReLU(), type(layer)(layer.out_channels, 16, 3), nn.Flatten(1), shape=shape)
    model = exported(variant, (images(4, shape),)).proto
    filled = with_integer_operations(model)
    monkeypatch.setattr(integer._Rewrite, "_four_channels", lambda _, node, *__: [node])
    as_they_are = with_integer_operations(model)
    channels = -(-layer.in_channels // 4) * 4
    shapes = {tuple(tensor.dims) for tensor in filled.graph.initializer}
    assert (layer.out_channels, channels, *layer.kernel_size) in shapes
    for batch in (1, 5):
        inputs = images(batch, shape).numpy()
        wanted = what_the_first_layer_gives(as_they_are, inputs)
        assert np.array_equal(wanted, what_the_first_layer_gives(filled, inputs))


def what_the_first_layer_gives(model: onnx.ModelProto, inputs: np.ndarray) -> np.ndarray:
    """The quantized result, to the bit."""
    import onnxruntime

    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    _, second = (node.output[0] for node in cut.graph.node if node.op_type == "QuantizeLinear")
    cut.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info(second, onnx.TensorProto.UINT8, None))
    session = onnxruntime.InferenceSession(cut.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {cut.graph.input[0].name: inputs})[0]
