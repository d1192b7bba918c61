"""Pooling in bf16 against float64, on every instruction set this machine has or can imitate."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import kernels
from workbench.kernels import records
from workbench.kernels.program import Builder, Tensor
from workbench.kernels.records import Dtype, Place, Window

pytestmark = pytest.mark.skipif(kernels.unavailable() is not None, reason=str(kernels.unavailable()))
ISAS = [*kernels.isas(), *kernels.core().stand_ins()] if kernels.unavailable() is None else []


@pytest.mark.parametrize("isa", ISAS)
@settings(max_examples=20, deadline=None)
@given(channels=st.sampled_from([1, 3, 7, 8, 15, 16, 17, 33]), average=st.booleans(), seed=st.integers(0, 999))
def test_pooling_bf16_gives_the_rounded_exact_result(isa, channels, average, seed):
    x = torch.randn(2, channels, 5, 5, generator=torch.Generator().manual_seed(seed)).bfloat16()
    memory = x.permute(0, 2, 3, 1).contiguous().view(torch.int16).numpy()
    builder = Builder()
    source = builder.tensor(Tensor.of(Place.INPUT, 5, 5, channels, Dtype.BF16))
    target = builder.tensor(Tensor.of(Place.OUTPUT, 3, 3, channels, Dtype.BF16))
    builder.records.append(records.pool(source, target, Window((3, 3), (2, 2), (1, 1)), average=average))
    out = np.zeros((2, 3, 3, channels), np.int16)
    builder.build(isa, memory[0].nbytes, out[0].nbytes, 64).run(memory.ctypes.data, out.ctypes.data, 2, 0, 1)
    got = torch.from_numpy(out).view(torch.bfloat16).permute(0, 3, 1, 2).double()
    pool = torch.nn.functional.avg_pool2d if average else torch.nn.functional.max_pool2d
    wanted, largest = pool(x.double(), 3, 2, 1), pool(x.double().abs(), 3, 2, 1)
    # A mean of nine errs by 9 · ε of its terms in float32, and is then rounded to 2⁻⁸ of itself; a maximum is exact.
    bound = wanted.abs() * 2**-8 + 9 * 2**-23 * largest if average else 0
    assert ((got - wanted).abs() <= bound).all()
