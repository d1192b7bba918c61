"""Linear layers with weights in 8, 4, 2 or 1 bits, on every instruction set this machine has or can imitate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import kernels
from workbench.errors import EngineError
from workbench.kernels import records
from workbench.kernels.program import Builder, Tensor
from workbench.kernels.records import Dtype, Epilogue, Place

pytestmark = pytest.mark.skipif(kernels.unavailable() is not None, reason=str(kernels.unavailable()))
ISAS = [*kernels.isas(), *kernels.core().stand_ins()] if kernels.unavailable() is None else []
EPSILON = float(np.finfo(np.float32).eps)


def run(isa, x, weights, scales, bits, group, order, bias, *, tokens: bool, batch: int) -> np.ndarray:
    rows, inputs = x.shape
    height = rows // batch if tokens else 1
    builder = Builder()
    source = builder.tensor(Tensor.of(Place.INPUT, height, 1, inputs, Dtype.F32))
    target = builder.tensor(Tensor.of(Place.OUTPUT, height, 1, len(weights), Dtype.F32))
    ones = np.ones(len(weights), np.float32)
    builder.records.append(
        records.weight_only(source, target, None, bits, group, Epilogue(), weights, scales, order, ones, bias)
    )
    out = np.zeros((rows, len(weights)), np.float32)
    images = rows // height
    program = builder.build(isa, x.nbytes // images, out.nbytes // images, 64)
    program.run(x.ctypes.data, out.ctypes.data, images, 0, 2)
    return out


@pytest.mark.parametrize("isa", ISAS)
@settings(max_examples=60, deadline=None)
@given(
    batch=st.sampled_from([1, 2, 3, 4, 5, 9]), inputs=st.sampled_from([1, 2, 7, 8, 31, 32, 33, 65]),
    outputs=st.sampled_from([1, 3, 8, 15, 16, 17, 63, 64, 65, 130]), bits=st.sampled_from([1, 2, 4, 8]),
    group=st.sampled_from([1, 5, 8, 32, 100]), tokens=st.booleans(), seed=st.integers(0, 999),
)  # fmt: skip
def test_groups_of_weights_are_multiplied_as_what_they_stand_for(
    isa, batch, inputs, outputs, bits, group, tokens, seed
):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch * (3 if tokens else 1), inputs), np.float32)
    low = -(1 << bits - 1)
    levels = np.arange(low, -low) if bits > 1 else np.array([-1, 1])
    weights = rng.choice(levels.astype(np.int8), (outputs, inputs))
    scales = rng.uniform(0.1, 1, (outputs, -(-inputs // group))).astype(np.float32)
    bias, order = rng.standard_normal(outputs).astype(np.float32), rng.permutation(inputs)
    got = run(isa, x, weights, scales, bits, group, order, bias, tokens=tokens, batch=batch)
    real = weights * np.repeat(scales, group, 1)[:, :inputs].astype(np.float64)
    wanted = x[:, order] @ real.T + bias
    # A sum of n products errs by at most n · ε · Σ|x·w| (Higham, 2002, eq. 3.5); a group's scale and the bias add two.
    magnitude = np.abs(x[:, order]) @ np.abs(real).T + np.abs(bias)
    assert (np.abs(got - wanted) <= (inputs + 3) * EPSILON * magnitude).all()


@pytest.mark.parametrize("isa", ISAS)
def test_what_lies_behind_a_row_is_never_multiplied(isa):
    x = np.full((1, 9), np.nan, np.float32)
    x[:, :7] = 1
    builder = Builder()
    source = builder.tensor(Tensor(Place.INPUT, 1, 1, 7, Dtype.F32, pixel_pitch=36, row_pitch=36))
    target = builder.tensor(Tensor.of(Place.OUTPUT, 1, 1, 2, Dtype.F32))
    weights, scales, order = np.ones((2, 7), np.int8), np.ones((2, 2), np.float32), np.arange(7)
    out, zeros = np.zeros(2, np.float32), np.zeros(2)
    record = records.weight_only(source, target, None, 4, 5, Epilogue(), weights, scales, order, zeros + 1, zeros)
    builder.records.append(record)
    builder.build(isa, 36, 8, 64).run(x.ctypes.data, out.ctypes.data, 1, 0, 1)
    assert out.tolist() == [7, 7]


@pytest.mark.parametrize(
    ("bits", "group", "order", "says"),
    [
        (3, 4, range(4), "groups of 8, 4, 2 or 1 bits"),
        (4, 0, range(4), "groups of"),
        (8, 4, [0, 1, 2, 4], "outside its row"),
    ],
)
def test_weights_that_make_no_sense_are_refused(bits, group, order, says):
    x, weights = np.zeros((1, 4), np.float32), np.zeros((2, 4), np.int8)
    with pytest.raises(EngineError, match=says):
        run(
            "reference", x, weights, np.ones((2, 1)), bits, group, np.array(order), np.zeros(2), tokens=False, batch=1
        )  # fmt: skip
