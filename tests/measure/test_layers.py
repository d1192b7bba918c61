from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from workbench.engines import Kernel, LayerTimesUnavailable, Runner
from workbench.measure.layers import NEW_ZEROS, layer_states, output_errors, receipt
from workbench.measure.work import multiply_adds
from workbench.variant import Variant

from .conftest import small_cnn

LAYERS = ["0", "4", "7", "9"]
NORMALISATION = "1"


class PlainRunner(Runner):
    """Calls a module; its kernels are given, and it can time only what it is told."""

    def __init__(self, call, kernels=None, times=None):
        self._call, self.kernels, self._times = call, kernels or {}, times

    def __call__(self, inputs):
        return self._call(inputs)

    def layer_times_ms(self, inputs, repeats=20):
        if self._times is None:
            raise LayerTimesUnavailable("one fused kernel runs everything")
        return self._times


def rows_of(original, variant, inputs, **runner):
    rows = receipt(original, variant, PlainRunner(variant.graph or variant.module, **runner), inputs)
    return {row.layer: row for row in rows}


def test_states_name_dtype_shape_zeros_and_bytes(model):
    with torch.no_grad():
        model[7].weight[:8] = 0
    states = layer_states(Variant(model))
    assert list(states) == ["0", NORMALISATION, "4", "7", "9"]
    assert states["7"].dtype == "float32"
    assert states["7"].weight_shape == (32, 576)
    assert states["7"].sparsity == 0.25
    assert states["7"].weight_bytes == 4 * (32 * 576 + 32)  # and the biases


def test_bf16_states_are_bfloat16_unless_the_kernel_says_otherwise(model):
    states = layer_states(Variant(model, "bf16"))
    assert {states[name].dtype for name in LAYERS} == {"bfloat16"}
    assert states[NORMALISATION].dtype == "float32"
    kernels = {name: Kernel("gemm", "float32" if name == "9" else "bfloat16", "real") for name in LAYERS}
    states = layer_states(Variant(model, "bf16"), kernels)
    assert [states[name].dtype for name in LAYERS] == ["bfloat16"] * 3 + ["float32"]


def test_int8_states_are_read_from_the_graph(int8_variant):
    states = layer_states(int8_variant)
    assert [states[name].dtype for name in LAYERS] == ["int8", "int8", "int8", "float32"]
    # int8 weights, with a float32 scale, an int64 zero point and a float32 bias for each of 32 channels.
    assert states["7"].weight_bytes == 32 * 576 + 32 * (4 + 8 + 4)


def test_an_unchanged_model_has_no_output_errors(model, inputs):
    assert output_errors(model, Variant(copy.deepcopy(model)), inputs) == dict.fromkeys(LAYERS, 0.0)


def test_a_changed_layer_moves_its_own_output_and_those_after_it(model, inputs):
    changed = copy.deepcopy(model)
    with torch.no_grad():
        changed[7].weight *= 1.1
        changed[7].bias *= 1.1
    errors = output_errors(model, Variant(changed), inputs)
    assert errors["0"] == errors["4"] == 0
    # The output is scaled by 1.1 as a whole; float32 rounds each sum of 576 terms by at most 576·2⁻²⁴ of its size.
    assert errors["7"] == pytest.approx(0.1, abs=1e-4)
    assert errors["9"] > 0


def test_int8_errors_are_small_also_where_a_normalisation_was_folded(int8_variant, inputs):
    errors = output_errors(small_cnn(), int8_variant, inputs)
    assert list(errors) == LAYERS
    # Eight bits keep a layer's relative error at about 2⁻⁷·√(1/3 + 1/3) ≈ 0.6 % of full scale, which is a few times the
    # root mean square; compared before the folded normalisation, the first layer's would be of the order of 1.
    assert all(0 < error < 0.1 for error in errors.values())


def test_bf16_errors_are_those_of_eight_significant_bits(model, inputs):
    errors = output_errors(model, Variant(model, "bf16"), inputs)
    # Rounding weights, inputs and outputs costs 2⁻⁹ each at most, growing with depth; 2⁻⁵ leaves room for four layers.
    assert all(0 < error < 2**-5 for error in errors.values())


def test_layers_whose_shapes_differ_have_no_error(model, inputs):
    narrower = copy.deepcopy(model)
    narrower[7], narrower[9] = nn.Linear(576, 16), nn.Linear(16, 10)
    assert list(output_errors(model, Variant(narrower), inputs)) == ["0", "4", "9"]


def test_hooks_leave_nothing_behind(model, inputs):
    output_errors(model, Variant(model), inputs)
    multiply_adds(model, inputs)
    assert not any(layer._forward_hooks for layer in model.modules())


def test_the_receipt_joins_states_kernels_times_and_reasons(int8_variant, inputs):
    kernels = {name: Kernel("int8 gemm", "int8", "real") for name in LAYERS[:3]}
    kernels["9"] = Kernel("gemm", "float32", "unchanged", "the recipe keeps it in float32")
    rows = rows_of(small_cnn(), int8_variant, inputs, kernels=kernels, times={"7": 0.25})
    assert list(rows) == ["0", NORMALISATION, "4", "7", "9"]
    assert (rows["7"].before.dtype, rows["7"].after.dtype, rows["7"].op) == ("float32", "int8", "Linear")
    assert (rows["7"].kernel, rows["7"].reality, rows["7"].time_ms) == ("int8 gemm", "real", 0.25)
    assert rows["9"].reality == "unchanged"
    assert rows["9"].reason == "the recipe keeps it in float32"
    assert rows["0"].time_ms is None
    assert "no separate time" in rows["0"].time_reason


def test_where_layers_can_not_be_timed_the_receipt_says_why(model, inputs):
    rows = rows_of(model, Variant(model), inputs)
    assert {row.time_reason for row in rows.values()} == {"one fused kernel runs everything"}


def test_a_layer_that_shrank_is_really_changed_with_the_same_kernel(model, inputs):
    narrower = copy.deepcopy(model)
    narrower[7], narrower[9] = nn.Linear(576, 16), nn.Linear(16, 10)
    kernels = {name: Kernel("gemm", "float32", "unchanged") for name in LAYERS}
    rows = rows_of(model, Variant(narrower), inputs, kernels=kernels)
    assert [rows[name].reality for name in LAYERS] == ["unchanged", "unchanged", "real", "real"]
    assert rows["7"].after.weight_shape == (16, 576)


def test_zeros_in_a_dense_weight_are_no_real_change(model, inputs):
    sparse = copy.deepcopy(model)
    with torch.no_grad():
        sparse[7].weight[:16] = 0
    kernels = {name: Kernel("gemm", "float32", "unchanged") for name in LAYERS}
    rows = rows_of(model, Variant(sparse), inputs, kernels=kernels)
    assert rows["7"].reality == "unchanged"
    assert NEW_ZEROS in rows["7"].reason
    assert rows["4"].reason == ""


def test_layers_removed_and_brought_in_have_rows_of_their_own(model, inputs):
    student = nn.Sequential(nn.Flatten(), nn.Linear(144, 32), nn.ReLU(), nn.Linear(32, 10)).eval()
    rows = receipt(model, Variant(student), PlainRunner(student), inputs)
    assert [(row.layer, row.before is None, row.after is None) for row in rows] == [
        ("0", False, True),
        (NORMALISATION, False, True),
        ("1", True, False),
        ("4", False, True),
        ("7", False, True),
        ("9", False, True),
        ("3", True, False),
    ]


def test_a_name_that_means_another_kind_of_layer_now_gives_two_rows(model, inputs):
    student = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.ReLU(), nn.Identity(), nn.Linear(400, 10)).eval()
    rows = [row for row in receipt(model, Variant(student), PlainRunner(student), inputs) if row.layer == "4"]
    assert [(row.op, row.before is None, row.after is None) for row in rows] == [
        ("Conv2d", False, True),
        ("Linear", True, False),
    ]
    assert all(row.output_error is None for row in rows)


def test_multiply_adds_are_counted_by_hand_for_each_kind_of_layer():
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ConvTranspose2d(4, 3, 2, stride=2), nn.Flatten(), nn.Linear(3 * 16 * 16, 5)
    )
    found = multiply_adds(model, torch.randn(2, 2, 10, 10))
    assert found == {"0": 2 * 4 * 64 * 2 * 9, "1": 2 * 4 * 64 * 3 * 4, "3": 2 * 768 * 5}
