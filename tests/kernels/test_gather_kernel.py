"""Elements in places of their own: as NumPy takes them, in every storage, alone and shared by threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import kernels
from workbench.errors import EngineError
from workbench.kernels import records
from workbench.kernels.program import Builder, Tensor
from workbench.kernels.records import Dtype, Place

pytestmark = pytest.mark.skipif(kernels.unavailable() is not None, reason=str(kernels.unavailable()))
STORED = {Dtype.U8: np.uint8, Dtype.BF16: np.uint16, Dtype.F32: np.uint32}
HEIGHT, WIDTH = 5, 7


@settings(max_examples=100, deadline=None)
@given(
    dtype=st.sampled_from(list(STORED)), channels=st.sampled_from([1, 3, 8, 16, 33]),
    shape=st.tuples(*[st.integers(1, 9)] * 3), whole_pixels=st.booleans(), threads=st.integers(1, 3),
    seed=st.integers(0, 999),
)  # fmt: skip
def test_each_element_is_the_one_that_was_asked_for(dtype, channels, shape, whole_pixels, threads, seed):
    random = np.random.default_rng(seed)
    x = random.integers(0, 2**8, (3, HEIGHT, WIDTH, channels)).astype(STORED[dtype])
    rows, columns, picked = (random.integers(0, n, m) for n, m in zip(x.shape[1:], shape, strict=True))
    picked = np.arange(channels) if whole_pixels else picked
    builder = Builder()
    source = builder.tensor(Tensor.of(Place.INPUT, HEIGHT, WIDTH, channels, dtype))
    target = builder.tensor(Tensor.of(Place.OUTPUT, len(rows), len(columns), len(picked), dtype))
    builder.records.append(records.gather(source, target, rows * WIDTH * channels, columns * channels, picked))
    out = np.zeros((3, len(rows), len(columns), len(picked)), STORED[dtype])
    program = builder.build("reference", x[0].nbytes, out[0].nbytes, 64)
    program.run(x.ctypes.data, out.ctypes.data, 3, 0, threads)
    assert np.array_equal(out, x[:, rows][:, :, columns][..., picked])


@pytest.mark.parametrize(
    ("places", "says"),
    [
        (([0, 2], [0], [0, 1]), "beyond its input"),
        (([-2, 0], [0], [0, 1]), "beyond its input"),
        (([0], [0], [0, 1]), "a place for each"),
    ],
)
def test_places_outside_the_input_are_refused(places, says):
    builder = Builder()
    source = builder.tensor(Tensor.of(Place.INPUT, 1, 1, 3, Dtype.F32))
    target = builder.tensor(Tensor.of(Place.OUTPUT, 2, 1, 2, Dtype.F32))
    builder.records.append(records.gather(source, target, *map(np.array, places)))
    with pytest.raises(EngineError, match=says):
        builder.build("reference", 12, 16, 64)
