from __future__ import annotations

import itertools
import subprocess
import sys

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from workbench.engines import Kernel
from workbench.measure.memory import peak_memory_growth, stored_bytes, stored_tensors
from workbench.variant import Variant


def as_safetensors(tensors: dict[str, torch.Tensor]) -> int:
    return len(safetensors.torch.save({name: tensor.contiguous() for name, tensor in tensors.items()}))


def test_fp32_size_is_the_length_of_the_safetensors_file(model):
    assert stored_bytes(Variant(model)) == as_safetensors(model.state_dict())


@given(st.lists(st.integers(1, 40), min_size=2, max_size=5))
def test_size_is_the_length_of_the_safetensors_file_for_any_widths(widths):
    model = nn.Sequential(*(nn.Linear(a, b) for a, b in itertools.pairwise(widths)))
    assert stored_bytes(Variant(model)) == as_safetensors(model.state_dict())


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_floats_of_two_bytes_halve_the_layers_that_run_in_them_and_nothing_else(model, precision, dtype):
    tensors = model.state_dict()
    expected = {
        name: tensor.to(dtype) if name.split(".")[0] in ("0", "4", "7", "9") else tensor
        for name, tensor in tensors.items()
    }
    assert stored_bytes(Variant(model, precision)) == as_safetensors(expected)


def test_a_layer_whose_kernel_runs_in_fp32_keeps_fp32_weights(model):
    kernels = {name: Kernel("conv", "bfloat16", "real") for name in ("0", "4", "7")}
    kernels["9"] = Kernel("addmm", "float32", "unchanged", "left")
    tensors = stored_tensors(Variant(model, "bf16"), kernels)
    assert tensors["7.weight"][0] == "bfloat16"
    assert tensors["9.weight"][0] == "float32"


def test_int8_counts_constants_and_scales_but_not_the_unused_fp32_weights(int8_variant):
    tensors = stored_tensors(int8_variant)
    by_dtype = {dtype: [shape for d, shape, _ in tensors.values() if d == dtype] for dtype in ("int8", "float32")}
    assert sorted(by_dtype["int8"]) == [(8, 1, 3, 3), (16, 8, 3, 3), (32, 576)]
    assert [shape for shape in by_dtype["float32"] if len(shape) > 1] == [(10, 32)]
    # The large layer dominates and shrinks to a quarter; scales and zero points add 12 bytes a channel.
    assert stored_bytes(int8_variant) < 0.45 * stored_bytes(Variant(int8_variant.module))


def test_shared_weights_are_stored_once():
    first = nn.Linear(16, 16, bias=False)
    tied = nn.Sequential(first, nn.Linear(16, 16, bias=False))
    tied[1].weight = first.weight
    assert len(stored_tensors(Variant(tied))) == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems keep no resettable peak")
def test_the_peak_counts_memory_that_was_given_back_before_the_end():
    size_bytes = 64 * 2**20
    program = f"""
import torch
from workbench.measure.memory import peak_memory_growth
print(peak_memory_growth(lambda: torch.ones({size_bytes // 4})))
"""
    # In a process of its own: what earlier tests left here may take memory meanwhile, or give it back.
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
    if told == "None":
        pytest.skip("this system forbids resetting the peak")
    # All pages of the tensor are touched; everything else in three calls is far below an eighth of it.
    assert size_bytes * 7 / 8 <= int(told) <= size_bytes * 9 / 8


def test_where_the_system_can_not_say_there_is_no_peak(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert peak_memory_growth(lambda: None) is None
