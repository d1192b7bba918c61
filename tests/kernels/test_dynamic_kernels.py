"""Rows quantized in their own range and scaled back, on every instruction set this machine has or can imitate."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import kernels
from workbench.errors import EngineError
from workbench.kernels import records
from workbench.kernels.program import Builder, Tensor
from workbench.kernels.records import Dtype, Epilogue, Place

pytestmark = pytest.mark.skipif(kernels.unavailable() is not None, reason=str(kernels.unavailable()))
ISAS = [*kernels.isas(), *kernels.core().stand_ins()] if kernels.unavailable() is None else []
WIDTHS = st.sampled_from([1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 129])
KINDS = {
    "around zero": lambda x: x,
    "positive": np.abs,
    "negative": lambda x: -np.abs(x) - 1,
    "zero": lambda x: 0 * x,
    "huge": lambda x: x * np.float32(1e30),
    "tiny": lambda x: x * np.float32(1e-30),
}


@pytest.mark.parametrize("isa", ISAS)
@settings(max_examples=40, deadline=None)
@given(channels=WIDTHS, kind=st.sampled_from(sorted(KINDS)), seed=st.integers(0, 999))
def test_a_row_gets_the_bytes_and_the_range_that_pytorch_gives_it(isa, channels, kind, seed):
    import torchao.quantization.pt2e  # noqa: F401  registers the operation

    x = KINDS[kind](np.random.default_rng(seed).standard_normal((3, channels), np.float32))
    builder = Builder()
    source = builder.tensor(Tensor.of(Place.INPUT, 3, 1, channels, Dtype.F32))
    target = builder.tensor(Tensor.of(Place.OUTPUT, 3, 1, channels, Dtype.U8))
    whole = -(-3 * channels // 8) * 8
    ranges = builder.tensor(Tensor(Place.OUTPUT, 3, 1, 2, Dtype.F32, pixel_pitch=8, row_pitch=8, offset=whole))
    builder.records.append(records.quantize_rows(source, target, ranges))
    out = np.zeros(whole + 24, np.uint8)
    builder.build(isa, x.nbytes, out.nbytes, 64).run(x.ctypes.data, out.ctypes.data, 1, 0, 1)
    bytes_, found = out[: 3 * channels].reshape(3, channels), out[whole:].view(np.float32).reshape(3, 2)
    for row, got, (step, zero_point) in zip(x, bytes_, found, strict=True):
        choose = torch.ops.quantized_decomposed.choose_qparams.tensor
        wanted_step, wanted_zero = choose(torch.from_numpy(row), 0, 255, 2**-23, torch.uint8)
        assert abs(step - float(wanted_step)) <= 2**-23 * step
        assert abs(zero_point - int(wanted_zero)) <= 1
        # Half a step, or a whole one at an end that the rounded zero point moves beyond the last byte; and what float32
        # loses of 255 steps.
        back = (got - np.float64(zero_point)) * step
        assert (np.abs(back - row) <= (1 + 255 * 2**-22) * step).all()
        inside = (got > 0) & (got < 255)
        assert (np.abs(back - row)[inside] <= (0.5 + 255 * 2**-22) * step).all()


@pytest.mark.parametrize("isa", ISAS)
@settings(max_examples=30, deadline=None)
@given(channels=WIDTHS, residual=st.booleans(), seed=st.integers(0, 999))
def test_sums_come_back_as_the_numbers_they_mean(isa, channels, residual, seed):
    rng = np.random.default_rng(seed)
    sums = rng.integers(-(2**28), 2**28, (3, channels), np.int32)
    ranges = np.stack([rng.uniform(0.01, 1, 3), rng.integers(0, 256, 3)], 1).astype(np.float32)
    more = rng.standard_normal((3, channels)).astype(np.float32)
    weight_sums = rng.integers(-(2**20), 2**20, channels, np.int32)
    scale, bias = rng.uniform(0.5, 2, channels).astype(np.float32), rng.standard_normal(channels).astype(np.float32)
    given_ = np.concatenate([a.reshape(-1).view(np.uint8) for a in (sums, ranges, more)])
    builder = Builder()
    row = channels * 4
    tensors = [
        Tensor.of(Place.INPUT, 3, 1, channels, Dtype.I32),
        Tensor(Place.INPUT, 3, 1, 2, Dtype.F32, pixel_pitch=8, row_pitch=8, offset=3 * row),
        Tensor.of(Place.OUTPUT, 3, 1, channels, Dtype.F32),
        Tensor(Place.INPUT, 3, 1, channels, Dtype.F32, pixel_pitch=row, row_pitch=row, offset=3 * row + 24),
    ]
    numbers = [builder.tensor(tensor) for tensor in tensors]
    epilogue = Epilogue(residual_scale=1.0 if residual else 0.0)
    extra = numbers[3] if residual else None
    builder.records.append(records.rescale_rows(*numbers[:3], extra, epilogue, weight_sums, scale, bias))
    got = np.zeros((3, channels), np.float32)
    builder.build(isa, given_.nbytes, got.nbytes, 64).run(given_.ctypes.data, got.ctypes.data, 1, 0, 1)
    centred = sums - ranges[:, 1:].astype(np.int64) * weight_sums  # exact, and below 2³¹
    wanted = centred * ranges[:, :1].astype(np.float64) * scale + bias + (more if residual else 0)
    # The sum to float, two products and two additions: each within half of ε of a number no larger than these.
    magnitude = np.abs(centred * ranges[:, :1].astype(np.float64) * scale) + np.abs(bias) + np.abs(more)
    assert (np.abs(got - wanted) <= 5 * 2**-24 * magnitude).all()


def test_shapes_that_do_not_fit_are_refused():
    builder = Builder()
    source = builder.tensor(Tensor.of(Place.INPUT, 3, 1, 4, Dtype.F32))
    target = builder.tensor(Tensor.of(Place.OUTPUT, 3, 1, 4, Dtype.U8))
    ranges = builder.tensor(Tensor.of(Place.ARENA, 2, 1, 2, Dtype.F32))
    builder.records.append(records.quantize_rows(source, target, ranges))
    with pytest.raises(EngineError, match="two floats for each row"):
        builder.build("reference", 48, 12, 64)
