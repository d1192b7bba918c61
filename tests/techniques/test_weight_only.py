"""Weights of linear layers in eight bits to one: what they lose, what they weigh, and what is left alone."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from tests.techniques import parts
from workbench.errors import RecipeError, WorkbenchError
from workbench.graph import dequantize_groups, export, packed_groups
from workbench.measure.memory import stored_bytes
from workbench.measure.weights import layer_states
from workbench.precisions import registered
from workbench.recipe import Recipe
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.techniques.quantize.rounding import rounded
from workbench.variant import Variant
from workbench.workload import Data

SCHEMES = [name for name, each in registered().items() if each.weights_only]
AGREE = {"int2-weights": 0.95, "ternary-weights": 0.9, "binary-weights": 0.5}
"""The least share of answers that stay as they were; 0.97 of the others."""
GROUPED = [name for name in SCHEMES if registered()[name].weights.scales == "group"]


def quantized(module, few, **options) -> Variant:
    return Quantize(**{"rounding": "nearest", "correct_biases": False} | options).apply(Variant(module), few)


def context_of(inputs: torch.Tensor) -> Context:
    return Context(train=Data(inputs, torch.zeros(len(inputs), dtype=torch.long)))


def weights_of(variant: Variant) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Each linear layer's weight as the graph has it, and its scales."""
    found = []
    for node in variant.graph.graph.nodes:
        if "dequantize" in str(node.target):
            constants = torch.fx.node.map_arg(node.args, lambda arg: getattr(variant.graph, arg.target))
            found.append((node.target(*constants), constants[1]))
    return found


@pytest.mark.parametrize(("scheme", "most"), [(f"int{bits}-weights", 2 ** (bits - 1) - 1) for bits in range(4, 9)])
def test_every_weight_is_within_half_a_step_of_what_it_was(few, scheme, most):
    module = nn.Sequential(nn.Flatten(), nn.Linear(784, 33), nn.ReLU(), nn.Linear(33, 10)).eval()
    variant = quantized(module, few, scheme=scheme)
    linear = [layer.weight for layer in module.modules() if isinstance(layer, nn.Linear)]
    assert len(weights_of(variant)) == len(linear)
    for (weight, scales), wanted in zip(weights_of(variant), linear, strict=True):
        scales = scales.view(len(scales), -1)
        group = -(-wanted.shape[1] // scales.shape[1])
        steps = scales.repeat_interleave(group, 1)[:, : wanted.shape[1]]
        # Half a step, and ε of the largest magnitude for the division and product on the way.
        assert ((weight - wanted).abs() <= (0.5 + most * torch.finfo(torch.float32).eps) * steps).all()


@pytest.mark.parametrize("scheme", GROUPED)
def test_every_weight_becomes_the_nearest_of_its_group_s_numbers(scheme):
    torch.manual_seed(0)
    formats = registered()[scheme].weights
    weights = torch.randn(7, 3, 33)
    weights[2, 1, 5] *= 1000  # one that no other comes near
    weights[3] = -weights[3].abs()
    weights[4, 0] = 0
    numbers, scales = rounded(weights, formats)
    most = 2 ** (formats.bits - 1)
    levels = [-1, 0, 1] if formats.levels else [-1, 1] if formats.bits == 1 else range(-most, most)
    choices = torch.tensor(list(levels)) * scales[..., None, None]
    left = (numbers * scales[..., None] - weights).abs()
    assert (left <= (choices - weights[..., None]).abs().amin(-1) + 1e-5 * weights.abs()).all()
    assert not (numbers * scales[..., None])[4, 0].any()


@pytest.mark.parametrize("scheme", ["int3-weights", "int2-weights", "ternary-weights", "binary-weights"])
def test_few_bits_lose_less_than_with_any_other_scale(scheme):
    torch.manual_seed(0)
    formats = registered()[scheme].weights
    weights = torch.randn(5, 1, 32)
    numbers, scales = rounded(weights, formats)
    error = (numbers * scales[..., None] - weights).square().sum(-1)
    for share in torch.linspace(0.5, 1.5, 21):
        assert (error <= (numbers * share * scales[..., None] - weights).square().sum(-1) * 1.02).all()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_it_predicts_as_fp32_does_on_97_of_100_real_images(workload, few, scheme):
    variant = quantized(workload.module, few, scheme=scheme)
    images = workload.test.inputs[0][:2000]
    agree = parts.logits(variant.graph, images).argmax(1) == parts.logits(workload.module, images).argmax(1)
    assert agree.float().mean() >= AGREE.get(scheme, 0.97)


def test_larger_groups_weigh_less_and_lose_more(workload, few):
    images = workload.test.inputs[0][:200]
    exact, errors, sizes = parts.logits(workload.module, images), [], []
    for group_size in (16, 64, 256):
        variant = quantized(workload.module, few, scheme="int4-weights", group_size=group_size)
        errors.append(float((parts.logits(variant.graph, images) - exact).norm()))
        sizes.append(stored_bytes(variant))
    assert errors == sorted(errors)
    assert sizes == sorted(sizes, reverse=True)


def test_a_receipt_counts_what_is_really_stored(few):
    module = nn.Sequential(nn.Flatten(), nn.Linear(784, 33)).eval()
    states = {scheme: layer_states(quantized(module, few, scheme=scheme))["1"] for scheme in SCHEMES}
    for scheme in GROUPED:
        state, bits, groups = states[scheme], registered()[scheme].weights.bits, -(-784 // 32)
        assert (state.dtype, state.weight_shape) == (f"int{bits}", (33, 784))
        assert state.weight_bytes == 33 * groups * (-(-32 * bits // 8) + 4) + 33 * 4
    eight = states["int8-weights"]
    assert (eight.dtype, eight.weight_shape) == ("int8", (33, 784))
    assert eight.weight_bytes < stored_bytes(Variant(module)) / 3


@pytest.mark.parametrize("bits", range(1, 8))
def test_any_group_size_packs_and_unpacks(bits):
    for group_size in (1, 8, 9, 32):
        low = -(2 ** (bits - 1))
        values = (
            torch.randint(low, -low, (3, 2, group_size)) if bits > 1 else torch.randint(2, (3, 2, group_size)) * 2 - 1
        )
        packed, inputs = packed_groups(values, bits), 2 * group_size - 1
        assert packed.shape == (3, 2, -(-group_size * bits // 8))
        got = dequantize_groups(packed, torch.ones(3, 2), bits, group_size, inputs)
        assert torch.equal(got, values.flatten(1)[:, :inputs].float())


def test_rows_of_zeros_stay_zero():
    zero = nn.Sequential(nn.Linear(40, 3)).eval()
    nn.init.zeros_(zero[0].weight)
    for scheme in SCHEMES:
        variant = Quantize(scheme=scheme).apply(Variant(zero), context_of(torch.rand(4, 40)))
        assert all(not weight.any() for weight, _ in weights_of(variant))


def test_a_weight_used_twice_is_stored_once():
    model = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16)).eval()
    model[2] = model[0]
    inputs = torch.rand(4, 16)
    variant = Quantize(scheme="int4-weights").apply(Variant(model), context_of(inputs))
    assert sum("packed" in name for name in variant.graph.state_dict()) == 1
    assert variant.graph(inputs).isfinite().all()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_convolutions_and_overridden_layers_are_left_alone_with_the_reason(workload, few, scheme):
    last = [name for name, layer in workload.module.named_modules() if isinstance(layer, nn.Linear)][-1]
    before = copy.deepcopy(workload.module.state_dict())
    variant = quantized(workload.module, few, scheme=scheme, overrides={last: "fp32"})
    assert variant.precision == scheme
    assert "as the recipe asks" in variant.unchanged[last]
    assert any("a convolution needs int8-static" in reason for reason in variant.unchanged.values())
    assert all(torch.equal(before[name], tensor) for name, tensor in workload.module.state_dict().items())
    linear = [name for name, layer in workload.module.named_modules() if isinstance(layer, nn.Linear)]
    with pytest.raises(WorkbenchError, match="no layer of this model became"):
        quantized(workload.module, few, scheme=scheme, overrides=dict.fromkeys(linear, "fp32"))


@pytest.mark.parametrize(
    ("scheme", "takes"),
    [
        ("int4-weights", "linear layers only"),
        ("int8-weights", "linear, GRU and LSTM layers, Conv3d and transposed convolutions"),
    ],
)
def test_a_model_without_layers_that_a_scheme_takes_is_blocked_by_name(scheme, takes):
    reason = Quantize(scheme=scheme).blocked(nn.Sequential(nn.Conv2d(1, 2, 3)))
    assert reason == f"{scheme} quantizes {takes} and this model has none; use int8-static"


class Last(nn.Module):
    """A recurrent layer's last step."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0][:, -1]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Last(nn.GRU(12, 16, batch_first=True)), (7, 12)),
        (Last(nn.LSTM(12, 16, 2, batch_first=True, bidirectional=True)), (7, 12)),
        (Last(nn.LSTM(12, 16, batch_first=True, bias=False, proj_size=8)), (7, 12)),
        (nn.ConvTranspose1d(12, 16, 3, groups=2), (12, 7)),
        (nn.ConvTranspose2d(12, 16, 3, 2), (12, 5, 5)),
        (nn.Conv3d(12, 16, 3), (12, 4, 4, 4)),
    ],
    ids=lambda value: str(value) if isinstance(value, nn.Module) else None,
)
def test_layers_other_than_linear_ones_have_a_form_in_int8_weights(layer, shape):
    torch.manual_seed(0)
    model, inputs = nn.Sequential(layer, nn.Flatten()).eval(), torch.randn(8, *shape)
    variant = Quantize(scheme="int8-weights").apply(Variant(model), context_of(inputs))
    (state,) = layer_states(variant).values()
    matrices = [weight for weight in model.parameters() if weight.dim() >= 2]
    assert state.dtype == "int8"
    assert len(weights_of(variant)) == len(matrices)
    whole = sum(4 * parameter.numel() for parameter in model.parameters())
    kept = whole - 3 * sum(weight.numel() for weight in matrices)  # and a scale with its zero point for each channel
    assert kept < state.weight_bytes <= kept + 12 * sum(max(weight.shape[:2]) for weight in matrices) < whole
    # Each weight moves by half a step at most, 1/254 of its channel's largest: by far less than a tenth of the output.
    difference = parts.logits(variant.graph, inputs) - parts.logits(model, inputs)
    assert 0 < difference.norm() < 0.1 * parts.logits(model, inputs).norm()


def test_a_recurrent_layer_has_no_int4_form_and_says_so():
    model = nn.Sequential(Last(nn.GRU(12, 16, batch_first=True)), nn.Linear(16, 4)).eval()
    variant = Quantize(scheme="int4-weights").apply(Variant(model), context_of(torch.randn(4, 7, 12)))
    assert variant.unchanged["0.layer"] == "GRU has no int4 form here and is computed in fp32"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_is_saved_needs_nothing_of_ours_and_keeps_its_bits(few, scheme, tmp_path):
    variant = quantized(nn.Sequential(nn.Flatten(), nn.Linear(784, 12)).eval(), few, scheme=scheme)
    inputs = few.train.inputs[0][:3]
    torch.export.save(export(variant.graph, inputs), tmp_path / "model.pt2")
    loaded = torch.export.load(tmp_path / "model.pt2")
    assert torch.equal(loaded.module()(inputs), variant.graph(inputs))
    assert not any("workbench" in str(node.target) for node in loaded.graph.nodes)
    assert any(tensor.element_size() == 1 for tensor in loaded.state_dict.values())


def test_int4_is_short_for_int4_weights_and_group_sizes_have_limits():
    assert Recipe.parse(steps=[{"do": "quantize", "scheme": "int4"}]).precision == "int4-weights"
    with pytest.raises(RecipeError, match="group_size is between 8 and 256, not 4"):
        Recipe.parse(steps=[{"do": "quantize", "scheme": "int4", "group_size": 4}])
