"""Weights in floats of eight bits: each the nearest there is, a byte of it on disk, float32 in the product."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchao.quantization.quant_primitives import _choose_scale_float8, _quantize_affine_float8

import workbench as wb
from tests.techniques.test_few_bits import context_of
from workbench import engines
from workbench.engines._program import save_program
from workbench.errors import EngineError
from workbench.graph import dequantize_floats
from workbench.measure.numbers import layer_detail
from workbench.measure.weights import layer_states
from workbench.precisions import registered
from workbench.techniques.quantize import Quantize
from workbench.techniques.quantize.rounding import rounded
from workbench.techniques.quantize.schemes import TELLING, TRIED
from workbench.variant import Variant

SCHEMES = [name for name, each in registered().items() if each.is_imitated]
LARGEST = {"fp8-e4m3": 448.0, "fp8-e5m2": 57344.0}
EPSILON = torch.finfo(torch.float32).eps


def dtype_of(scheme: str) -> torch.dtype:
    return getattr(torch, registered()[scheme].dtype)


def numbers_of(scheme: str) -> torch.Tensor:
    """Every finite number that the format has, in order."""
    codes = torch.arange(256, dtype=torch.uint8).view(dtype_of(scheme)).float()
    return codes[codes.isfinite()].unique()


def hard_weights() -> torch.Tensor:
    """[channels, 1, inputs]: random, with an outlier, all negative, all zero, all the same, close to zero."""
    weights = torch.randn(6, 1, 40, generator=torch.Generator().manual_seed(0))
    weights[1, 0, 7] *= 1000
    weights[2] = -weights[2].abs()
    weights[3] = 0
    weights[4] = 0.3
    weights[5] *= 1e-30
    return weights


@pytest.fixture(scope="module")
def module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(40, 24), nn.ReLU(), nn.Linear(24, 5)).eval()


@pytest.fixture(scope="module")
def inputs() -> torch.Tensor:
    return torch.rand(64, 40, generator=torch.Generator().manual_seed(1))


def quantized(module: nn.Module, inputs: torch.Tensor, scheme: str, **options) -> Variant:
    return Quantize(scheme=scheme, **options).apply(Variant(module), context_of(inputs))


def test_both_formats_are_there_and_fp8_is_short_for_the_finer_one():
    assert LARGEST.keys() == set(SCHEMES)
    assert Quantize(scheme="fp8").scheme == "fp8-e4m3"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_largest_weight_of_each_channel_becomes_the_largest_number(scheme):
    weights = hard_weights()
    numbers, scales = rounded(weights, registered()[scheme].weights)
    largest = numbers.abs().amax(-1).flatten().tolist()
    assert largest == [LARGEST[scheme] if channel.any() else 0.0 for channel in weights]
    kept = numbers * scales.unsqueeze(-1)
    assert torch.allclose(kept.abs().amax(-1), weights.abs().amax(-1), rtol=2 * EPSILON, atol=0.0)


@pytest.mark.parametrize("scheme", SCHEMES)
@given(values=st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_each_weight_becomes_the_nearest_number_of_all_that_there_are(scheme, values):
    weights = torch.tensor(values).view(1, 1, -1)
    numbers, scales = rounded(weights, registered()[scheme].weights)
    every = numbers_of(scheme)
    assert torch.isin(numbers, every).all()
    steps = weights / scales.unsqueeze(-1)
    least = (steps.unsqueeze(-1) - every).abs().amin(-1)
    assert ((steps - numbers).abs() <= least + EPSILON * steps.abs()).all()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_numbers_and_scales_are_torchao_s_but_for_channels_of_zeros_of_which_it_makes_none(scheme):
    weights, dtype = hard_weights().squeeze(1), dtype_of(scheme)
    scales = _choose_scale_float8(weights, [1, weights.shape[1]], dtype)
    theirs = _quantize_affine_float8(weights, scales, dtype).float()
    numbers, ours = rounded(weights.unsqueeze(1), registered()[scheme].weights)
    some = weights.any(1)
    assert torch.equal(ours[some], scales[some])
    assert torch.equal(numbers.squeeze(1)[some], theirs[some])
    assert theirs[~some].isnan().all()
    assert not numbers[~some].any()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("axis", [0, 1])
def test_stored_bytes_stand_for_numbers_times_the_scales_of_their_channels(scheme, axis):
    stored, scales = torch.randn(4, 3, 2).to(dtype_of(scheme)), torch.rand((4, 3)[axis])
    along = scales.view(-1, 1, 1) if axis == 0 else scales.view(1, -1, 1)
    assert torch.equal(dequantize_floats(stored, scales, axis), stored.float() * along)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_receipt_counts_a_byte_for_each_weight_and_a_scale_for_each_channel(module, inputs, scheme):
    state = layer_states(quantized(module, inputs, scheme))["0"]
    assert state.dtype == registered()[scheme].dtype
    assert state.weight_bytes == 24 * 40 + 24 * 4 + 24 * 4  # and the biases


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_file_that_is_taken_away_holds_the_bytes_and_gives_the_same(module, inputs, scheme, tmp_path):
    variant = quantized(module, inputs, scheme)
    loaded = torch.export.load(save_program(variant, (inputs[:4],), tmp_path))
    kept = [tensor for tensor in loaded.state_dict.values() if tensor.dtype == dtype_of(scheme)]
    assert sorted(tensor.numel() for tensor in kept) == [24 * 5, 24 * 40]
    assert torch.equal(loaded.module()(inputs), variant.graph(inputs))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_auto_runs_it_on_eager_and_the_receipt_says_that_it_is_imitated(module, inputs, scheme):
    recipe = wb.Recipe.parse(steps=[{"do": "quantize", "scheme": scheme}], place={"engine": "auto"})
    runner = wb.prepare(module, inputs[:4], recipe, calibration=inputs)
    for layer in ("0", "2"):
        kernel = runner.kernels[layer]
        assert (kernel.dtype, kernel.reality) == ("float32", "simulated")
        assert "become float32 at each call" in kernel.reason
    rows = {row.layer: row for row in runner.receipt if row.reality != "unchanged"}
    assert {row.after.dtype for row in rows.values()} == {registered()[scheme].dtype}
    # A weight is off by 2^-3 of itself at most, and what 40 of them are off by cancels: by far less than a tenth.
    exact = module(inputs[:4])
    assert 0 < (runner(inputs[:4]) - exact).norm() < 0.1 * exact.norm()


@pytest.mark.parametrize("name", [name for name in engines.registered() if name != "eager"])
def test_engines_without_a_kernel_refuse_and_name_the_one_that_imitates_it(module, inputs, name):
    engine = engines.find(name)
    with pytest.raises(EngineError, match="has no kernel for fp8-e4m3; choose eager, which imitates it"):
        engine.prepare(quantized(module, inputs, "fp8-e4m3"), inputs[:4], threads=1)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_it_can_be_trained_and_what_was_trained_is_what_runs(module, inputs, scheme):
    variant = quantized(module, inputs, scheme, epochs=1, correct_biases=False)
    outputs = variant.module(inputs)
    assert torch.allclose(variant.graph(inputs), outputs, rtol=1e-4, atol=1e-5 * float(outputs.abs().max()))


def test_a_layer_s_weights_are_drawn_as_values_since_floats_have_no_grid(module, inputs):
    after = layer_detail(module, quantized(module, inputs, "fp8-e4m3"), None, "0").after
    assert (after.dtype, after.levels, after.scales.count) == ("float8_e4m3fn", None, 24)


def test_maps_of_layers_and_searches_leave_out_what_no_kernel_runs():
    assert not {*TELLING, *TRIED} & set(SCHEMES)
