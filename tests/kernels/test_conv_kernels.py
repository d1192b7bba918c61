"""Convolution and linear kernels against exact arithmetic, on every instruction set this machine has or can imitate."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import kernels
from workbench.kernels import records
from workbench.kernels.program import Builder, Program, Tensor
from workbench.kernels.records import Dtype, Epilogue, Place, Window

pytestmark = pytest.mark.skipif(kernels.unavailable() is not None, reason=str(kernels.unavailable()))
ISAS = [*kernels.isas(), *kernels.core().stand_ins()] if kernels.unavailable() is None else []
SLACK = 128  # kernels read whole groups of four bytes, AMX up to sixteen of them, and so a little past the end


@st.composite
def convolutions(draw, channelwise: bool = False) -> dict:
    """A convolution whose sizes lie around the edges of tiles: 16 and 14 pixels, multiples of 4, 8 and 16 channels."""
    edge = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 9, 13, 14, 15, 16, 17, 29])
    around = st.sampled_from([1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 48, 64, 65])
    groups = 1 if channelwise else draw(st.sampled_from([1, 1, 1, 2, 3]))
    inputs = draw(around) if channelwise else groups * draw(st.sampled_from([1, 2, 3, 4, 5, 8, 16, 17]))
    kernel = draw(st.one_of(st.just((1, 1)), st.tuples(st.integers(1, 5), st.integers(1, 5))))
    stride = draw(st.one_of(st.just((1, 1)), st.tuples(st.integers(1, 3), st.integers(1, 3))))
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    padding = tuple(draw(st.integers(0, k - 1)) for k in kernel)
    size = []
    for k, d, p in zip(kernel, dilation, padding, strict=True):
        size.append(max(draw(edge), d * (k - 1) + 1 - 2 * p))
    return {
        "batch": draw(st.integers(1, 3)),
        "size": tuple(size),
        "inputs": inputs,
        "outputs": inputs if channelwise else groups * draw(around),
        "groups": inputs if channelwise else groups,
        "window": Window(kernel, stride, padding, dilation),
        "zero_point": draw(st.sampled_from([0, 1, 127, 128, 254, 255])),
        "vectors": draw(st.integers(1, 4)),
        "threads": draw(st.integers(1, 3)),
        "seed": draw(st.integers(0, 2**16)),
        "extreme": draw(st.booleans()),
    }


def run_convolution(isa: str, c: dict, x: np.ndarray, weights: np.ndarray, output_type: Dtype, scale, bias, **more):
    """Run one convolution on ``x`` [batch, channels, height, width] and return [batch, outputs, height, width]."""
    window, dtype = c["window"], {1: Dtype.U8, 2: Dtype.BF16, 4: Dtype.F32}[x.itemsize]
    geometry = zip(c["size"], window.padding, window.dilation, window.size, window.stride, strict=True)
    height, width = ((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, p, d, k, s in geometry)
    (top, left), border = window.padding, c["zero_point"] if dtype is Dtype.U8 else 0
    pads = ((0, 0), (0, 0), (top, top), (left, left))
    memory = np.pad(x, pads, constant_values=border).transpose(0, 2, 3, 1).copy()
    memory = np.concatenate([memory.reshape(-1).view(np.uint8), np.zeros(SLACK, np.uint8)])
    source = Tensor.of(Place.INPUT, *c["size"], c["inputs"], dtype, (top, left, top, left), border)
    target = Tensor.of(Place.OUTPUT, height, width, c["outputs"], output_type)
    builder = Builder()
    numbers = builder.tensor(source), builder.tensor(target)
    epilogue = more.pop("epilogue", Epilogue())
    if c["groups"] == c["inputs"] == c["outputs"] and c["groups"] > 1:
        record = records.depthwise(*numbers, None, window, border, epilogue, weights, scale, bias)
    else:
        record = records.conv(*numbers, None, window, c["groups"], c["vectors"], border, epilogue, weights, scale, bias)
    builder.records.append(record)
    program: Program = builder.build(isa, source.size_bytes, target.size_bytes, 64)
    out = np.zeros(
        (c["batch"], height, width, c["outputs"]),
        {Dtype.I32: np.int32, Dtype.U8: np.uint8}.get(output_type, np.float32),
    )
    program.run(memory.ctypes.data, out.ctypes.data, c["batch"], 0, c["threads"])
    return out.transpose(0, 3, 1, 2)


def exact(c: dict, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The convolution in float64: exact for these integers, all sums being far below 2⁵³."""
    window = c["window"]
    result = torch.nn.functional.conv2d(
        torch.from_numpy(x.astype(np.float64)), torch.from_numpy(weights.astype(np.float64)),
        stride=window.stride, padding=window.padding, dilation=window.dilation, groups=c["groups"],
    )  # fmt: skip
    return result.numpy()


def integers(c: dict) -> tuple[np.ndarray, np.ndarray]:
    """Activations and weights; "extreme" ones are all at the ends of their ranges."""
    rng = np.random.default_rng(c["seed"])
    shape = (c["batch"], c["inputs"], *c["size"])
    weight_shape = (c["outputs"], c["inputs"] // c["groups"], *c["window"].size)
    if c["extreme"]:
        x, w = rng.choice(np.array([0, 255], np.uint8), shape), rng.choice(np.array([-128, 127], np.int8), weight_shape)
    else:
        x, w = rng.integers(0, 256, shape, np.uint8), rng.integers(-128, 128, weight_shape, np.int8)
    return x, w


@pytest.mark.parametrize("isa", ISAS)
@settings(max_examples=60, deadline=None)
@given(c=st.one_of(convolutions(), convolutions(channelwise=True)))
def test_int8_accumulators_are_exact(isa, c):
    x, weights = integers(c)
    ones = np.ones(c["outputs"], np.float32)
    got = run_convolution(isa, c, x, weights, Dtype.I32, ones, 0 * ones)
    np.testing.assert_array_equal(got, exact(c, x.astype(np.int64) - c["zero_point"], weights))


@pytest.mark.parametrize("isa", ISAS)
@settings(max_examples=20, deadline=None)
@given(c=st.one_of(convolutions(), convolutions(channelwise=True)), zero_point=st.sampled_from([0, 3, 128, 255]))
def test_requantized_outputs_are_the_rounded_real_ones(isa, c, zero_point):
    x, weights = integers(c)
    rng = np.random.default_rng(c["seed"] + 1)
    sums = exact(c, x.astype(np.int64) - c["zero_point"], weights)
    scale = (rng.uniform(0.5, 2, c["outputs"]) * 100 / max(np.abs(sums).max(), 1)).astype(np.float32)
    bias = rng.uniform(-20, 20, c["outputs"]).astype(np.float32)
    epilogue = Epilogue(zero_point=zero_point, low=-zero_point, high=255 - zero_point)
    got = run_convolution(isa, c, x, weights, Dtype.U8, scale, bias, epilogue=epilogue)
    steps = sums * scale[:, None, None] + bias[:, None, None]
    wanted = np.clip(np.rint(steps) + zero_point, 0, 255)
    # Float32 keeps |steps| < 512 to 2⁻¹⁴ here; only values that near to a half may round to the neighbour.
    near_half = np.abs(np.abs(steps - np.floor(steps)) - 0.5) < 2**-12
    assert (np.abs(got - wanted) <= near_half).all()


@pytest.mark.parametrize("isa", ISAS)
@settings(max_examples=20, deadline=None)
@given(c=st.one_of(convolutions(), convolutions(channelwise=True)))
def test_float_convolutions_keep_float32_accuracy(isa, c):
    rng = np.random.default_rng(c["seed"])
    x = rng.standard_normal((c["batch"], c["inputs"], *c["size"]), np.float32)
    weights = rng.standard_normal((c["outputs"], c["inputs"] // c["groups"], *c["window"].size), np.float32)
    bias = rng.standard_normal(c["outputs"], np.float32)
    got = run_convolution(isa, c, x, weights, Dtype.F32, np.ones_like(bias), bias)
    wanted = exact(c, x, weights) + bias[:, None, None]
    # A sum of n products errs by at most n · ε · Σ|x·w| (Higham, 2002, eq. 3.5).
    magnitude = exact(c, np.abs(x), np.abs(weights)) + np.abs(bias)[:, None, None]
    terms = weights[0].size + 1
    assert (np.abs(got - wanted) <= terms * np.finfo(np.float32).eps * magnitude).all()


@pytest.mark.parametrize("isa", ISAS)
@settings(max_examples=60, deadline=None)
@given(
    rows=st.sampled_from([1, 2, 13, 14, 15, 16, 17, 33]), inputs=st.sampled_from([1, 3, 4, 5, 63, 64, 65]),
    outputs=st.sampled_from([1, 10, 15, 16, 17, 63, 64, 65]), vectors=st.integers(1, 4),
    zero_point=st.sampled_from([0, 9, 255]),
)  # fmt: skip
def test_linear_layers_over_a_batch_are_exact(isa, rows, inputs, outputs, vectors, zero_point):
    c = {
        "batch": rows, "size": (1, 1), "inputs": inputs, "outputs": outputs, "groups": 1, "window": Window((1, 1)),
        "zero_point": zero_point, "vectors": vectors, "threads": 1 + rows % 3, "seed": rows * inputs + outputs,
        "extreme": False,
    }  # fmt: skip
    x, weights = integers(c)
    ones = np.ones(outputs, np.float32)
    got = run_convolution(isa, c, x, weights, Dtype.I32, ones, 0 * ones)
    np.testing.assert_array_equal(got, exact(c, x.astype(np.int64) - zero_point, weights))


@pytest.mark.parametrize("isa", ISAS)
def test_rows_and_sums_around_every_tile_edge_are_exact(isa):
    """Pixels around 16 and its multiples, sums around AMX's 64 bytes, channels around 8, 16 and 32: each with each."""
    shapes = itertools.product(
        [1, 3, 4, 5, 15, 16, 17, 31, 32, 33, 49, 65],
        [1, 4, 60, 63, 64, 65, 68, 127, 129, 257],
        [1, 7, 9, 15, 16, 17, 31, 33, 65],
    )
    turn = itertools.count()
    for pixels, inputs, outputs in shapes:
        i = next(turn)
        c = {
            "batch": 1 + i % 2, "size": (1, pixels), "inputs": inputs, "outputs": outputs, "groups": 1,
            "window": Window((1, 1), (1, 1 + i % 3 // 2)), "zero_point": (0, 255, 77)[i % 3], "vectors": 1 + i % 4,
            "threads": 1 + i % 3,
            "seed": i, "extreme": i % 5 == 0,
        }  # fmt: skip
        x, weights = integers(c)
        ones = np.ones(outputs, np.float32)
        got = run_convolution(isa, c, x, weights, Dtype.I32, ones, 0 * ones)
        centred = x[..., :: c["window"].stride[1]] - float(c["zero_point"])
        wanted = np.einsum("bihw,oi->bohw", centred, weights[:, :, 0, 0])
        assert (got == wanted).all(), c


@pytest.mark.parametrize("isa", ISAS)
def test_an_empty_batch_writes_nothing(isa):
    c = {
        "batch": 0, "size": (5, 5), "inputs": 16, "outputs": 16, "groups": 1, "window": Window((3, 3)),
        "zero_point": 3, "vectors": 1, "threads": 2, "seed": 0, "extreme": False,
    }  # fmt: skip
    ones = np.ones(16, np.float32)
    assert run_convolution(isa, c, *integers(c), Dtype.I32, ones, ones).shape == (0, 16, 3, 3)


@pytest.mark.parametrize("isa", [isa for isa in ISAS if kernels.multiplies_bf16(isa)])
@settings(max_examples=30, deadline=None)
@given(c=convolutions().filter(lambda c: c["groups"] == 1 or c["inputs"] > c["groups"]))  # no depthwise one
def test_bf16_convolutions_sum_in_float32(isa, c):
    rng = np.random.default_rng(c["seed"])
    shape, weight_shape = (c["batch"], c["inputs"], *c["size"]), (c["outputs"], c["inputs"] // c["groups"])
    x = torch.from_numpy(rng.standard_normal(shape, np.float32)).bfloat16()
    weights = torch.from_numpy(rng.standard_normal((*weight_shape, *c["window"].size), np.float32)).bfloat16()
    bias = rng.standard_normal(c["outputs"], np.float32)
    stored, real_x, real_weights = x.view(torch.int16).numpy(), x.float().numpy(), weights.float().numpy()
    got = run_convolution(isa, c, stored, real_weights, Dtype.F32, np.ones_like(bias), bias)
    wanted = exact(c, real_x, real_weights) + bias[:, None, None]
    # Products of two bf16 numbers are exact in float32; for the sums see the bound above.
    magnitude = exact(c, np.abs(real_x), np.abs(real_weights)) + np.abs(bias)[:, None, None]
    terms = real_weights[0].size + 1
    assert (np.abs(got - wanted) <= terms * np.finfo(np.float32).eps * magnitude).all()
