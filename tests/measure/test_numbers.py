"""The numbers of a layer's weights: histograms, the grid that quantization leaves, the zeros that pruning makes."""

from __future__ import annotations

import copy

import pytest
import torch

from tests.measure.conftest import small_cnn
from workbench.errors import WorkbenchError
from workbench.layer import LayerDetail
from workbench.measure.numbers import layer_detail
from workbench.variant import Variant


def test_every_number_is_counted_once_in_intervals_that_both_sides_share(model):
    changed = copy.deepcopy(model)
    with torch.no_grad():
        changed[7].weight *= 2
    detail = layer_detail(model, Variant(changed), None, "7")
    for side in (detail.before, detail.after):
        assert sum(side.values.counts) + side.zeros == side.total == 32 * 576
    assert (detail.before.values.low, detail.before.values.width) == (
        detail.after.values.low,
        detail.after.values.width,
    )
    assert detail.after.high == pytest.approx(2 * detail.before.high)
    assert detail.after.levels is detail.after.scales is None


def test_zeros_stand_apart_from_the_histogram(model):
    pruned = copy.deepcopy(model)
    with torch.no_grad():
        pruned[7].weight[:16] = 0
    after = layer_detail(model, Variant(pruned), None, "7").after
    assert after.zeros == 16 * 576
    assert sum(after.values.counts) == 16 * 576


def test_int8_weights_lie_on_levels_with_a_scale_for_each_channel(int8_variant):
    detail = layer_detail(small_cnn(), int8_variant, None, "7")
    assert (detail.before.dtype, detail.after.dtype) == ("float32", "int8")
    assert (detail.after.levels.low, len(detail.after.levels.counts)) == (-128, 256)
    assert sum(detail.after.levels.counts) == 32 * 576
    assert detail.after.levels.counts[128] == detail.after.zeros
    assert detail.after.scales.count == 32
    assert 0 < detail.after.scales.low <= detail.after.scales.high
    # eight bits: the largest number of a channel is at most half a step from its level
    assert detail.after.high == pytest.approx(detail.before.high, abs=detail.after.scales.high / 2)


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_numbers_of_two_bytes_are_those_that_their_bits_hold(model, precision, dtype):
    after = layer_detail(model, Variant(model, precision), None, "7").after
    assert after.dtype == str(dtype).removeprefix("torch.")
    assert after.high == float(torch.tensor(after.high).to(dtype))


def test_a_normalisation_that_was_folded_has_only_a_before(int8_variant):
    detail = layer_detail(small_cnn(), int8_variant, None, "1")
    assert detail.before is not None
    assert detail.after is None


def test_weights_that_are_all_alike_have_a_histogram_too(model):
    with torch.no_grad():
        model[7].weight.fill_(0.5)
    before = layer_detail(model, Variant(model), None, "7").before
    assert sum(before.values.counts) == before.total


def test_what_is_not_finite_is_left_out_of_the_histogram(model):
    with torch.no_grad():
        model[7].weight[0, 0] = float("nan")
    before = layer_detail(model, Variant(model), None, "7").before
    assert sum(before.values.counts) == before.total - 1
    assert LayerDetail.model_validate_json(LayerDetail(layer="7", before=before, after=None).model_dump_json())


def test_an_unknown_layer_is_refused_with_those_there_are(model):
    with pytest.raises(WorkbenchError, match="'8' is not known"):
        layer_detail(model, Variant(model), None, "8")
