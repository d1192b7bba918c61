"""Inputs that one scale would spoil, and models that quantization spoils: neither without a word."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.techniques import parts
from workbench.errors import WorkbenchError
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Data

RANGES = torch.logspace(-3, 4, 12)
INT8 = ("int8-static", "int8-dynamic")


def raw_features(rows: int = 256) -> torch.Tensor:
    return torch.randn(rows, 12, generator=torch.Generator().manual_seed(0)) * RANGES


def regressor() -> nn.Module:
    """To which each column matters as much as any other, however small its numbers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
    model.requires_grad_(False)[0].weight /= RANGES
    return model.eval()


def quantized(module: nn.Module, inputs: torch.Tensor, **options) -> Variant:
    train = Data(inputs, torch.zeros(len(inputs), dtype=torch.long))
    return Quantize(**options).apply(Variant(module), Context(train=train))


def share_of_variance_kept(variant: Variant, inputs: torch.Tensor) -> float:
    wanted, found = variant.module(inputs), variant.graph(inputs)
    return 1 - float((found - wanted).square().sum() / (wanted - wanted.mean(0)).square().sum())


@pytest.mark.parametrize("scheme", INT8)
def test_columns_of_very_different_ranges_cost_nothing_and_are_told_of(scheme):
    variant = quantized(regressor(), raw_features(), scheme=scheme)
    assert share_of_variance_kept(variant, raw_features()) > 0.99
    assert list(variant.unchanged) == ["0"]
    assert variant.unchanged["0"].startswith("kept in fp32: the ranges of its inputs differ, from 0.00")
    (notice,) = variant.notices
    assert notice.startswith("0 stays in fp32: the ranges of its inputs differ")
    assert "\n" not in notice


def test_channels_of_very_different_ranges_before_a_convolution_are_seen_too():
    ranges = RANGES[::2, None]
    model = nn.Sequential(nn.Conv1d(6, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(80, 3)).eval().requires_grad_(False)
    model[0].weight /= ranges
    inputs = torch.randn(64, 6, 12) * ranges
    assert list(quantized(model, inputs).unchanged) == ["0"]


def test_columns_in_the_hands_of_a_batch_normalisation_need_no_help():
    norm = nn.BatchNorm1d(12)
    norm.running_var = RANGES**2
    model = nn.Sequential(norm, nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 1)).eval()
    variant = quantized(model, raw_features())
    assert list(variant.unchanged) == ["0"]
    assert variant.notices == ()


def test_a_layer_that_the_recipe_keeps_in_fp32_is_not_told_of_twice():
    variant = quantized(regressor(), raw_features(), overrides={"0": "fp32"})
    assert variant.unchanged == {"0": "kept in fp32 as the recipe asks"}
    assert variant.notices == ()


def test_a_model_of_one_layer_with_such_inputs_is_refused_with_the_reason():
    model = nn.Sequential(nn.Linear(12, 1)).eval().requires_grad_(False)
    model[0].weight /= RANGES
    with pytest.raises(WorkbenchError, match=r"of 0, the ranges .* differ, .*; give it inputs of like ranges"):
        quantized(model, raw_features())


@pytest.mark.parametrize("scheme", INT8)
def test_images_and_alike_columns_stay_int8_without_a_notice(workload, few, scheme):
    for module, inputs in [
        (workload.module, few.train.inputs[0]),
        (nn.Sequential(nn.Flatten(), parts.build(lambda: nn.Linear(784, 10))), few.train.inputs[0]),
        (nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 3)), raw_features() / RANGES),
    ]:
        variant = quantized(module.eval(), inputs, scheme=scheme)
        assert variant.notices == ()
        assert all(isinstance(module.get_submodule(name), nn.Conv2d) for name in variant.unchanged)


def test_a_model_that_quantization_spoils_is_told_of_with_the_layer_that_does_it():
    model = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3))
    model.eval().requires_grad_(False)
    model[0].weight[0], model[0].bias[0] = 0, 1e4  # a unit that says nothing, in a range that takes in all others
    model[2].weight[:, 0] = 0
    variant = quantized(model, raw_features() / RANGES)
    (notice,) = variant.notices
    assert share_of_variance_kept(variant, raw_features() / RANGES) < 0.91
    assert notice.startswith("int8-static moves the model's outputs by ")
    assert " of their spread on the calibration examples, and those of 2 alone by " in notice
    assert notice.endswith("; keep it in fp32 or take another scheme")


def test_keeping_the_layer_that_was_named_in_fp32_ends_the_notice():
    model = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3))
    model.eval().requires_grad_(False)
    model[0].weight[0], model[0].bias[0] = 0, 1e4
    model[2].weight[:, 0] = 0
    assert quantized(model, raw_features() / RANGES, overrides={"2": "fp32"}).notices == ()


def test_rare_large_values_that_answers_depend_on_are_kept_within_range():
    def tokens(seed: int) -> torch.Tensor:
        values = torch.randn(32, 256, 128, generator=torch.Generator().manual_seed(seed))
        values[:, 0, 0] = 60  # of one token in one channel, as transformers have them
        return values

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(128, 8)).eval().requires_grad_(False)

    def error(**options) -> float:
        graph = quantized(model, tokens(0), correct_biases=False, **options).graph
        wanted = model(tokens(1))
        return float((graph(tokens(1)) - wanted).norm() / wanted.norm())

    assert error() < 0.5 * error(calibration="percentile")
