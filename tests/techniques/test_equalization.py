"""Cross-layer equalization: ranges become alike, outputs stay the same, and what can't be scaled is left alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.techniques import parts
from tests.techniques.test_few_bits import context_of
from workbench.graph import export
from workbench.measure.outputs import output_errors
from workbench.precisions import registered
from workbench.techniques.quantize import Quantize
from workbench.techniques.quantize.constants import constant_of
from workbench.techniques.quantize.equalization import equalize, factors, pairs
from workbench.techniques.quantize.rewrite import rewritten
from workbench.variant import Variant

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Uneven(nn.Module):
    """A convolution, a depthwise one and one in a single pixel, normalised, whose channels differ by up to 10⁴."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)
        self.depthwise, self.other_norm = nn.Conv2d(8, 8, 3, groups=8, bias=False), nn.BatchNorm2d(8)
        self.pointwise = nn.Conv2d(8, 6, 1)
        self.head = nn.Linear(6, 5)
        with torch.no_grad():
            self.norm.weight.copy_(torch.logspace(-2, 2, 8))
            self.norm.bias.uniform_(-1, 1).mul_(self.norm.weight)
            self.depthwise.weight.div_(self.norm.weight.view(-1, 1, 1, 1))

    def forward(self, images):
        features = torch.relu(self.norm(self.conv(images)))
        features = torch.relu(self.other_norm(self.depthwise(features)))
        return self.head(torch.relu(self.pointwise(features)).mean((2, 3)))


@pytest.fixture(scope="module")
def module() -> nn.Module:
    torch.manual_seed(0)
    return Uneven().eval()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(64, 3, 9, 9, generator=torch.Generator().manual_seed(1))


def graph_of(module: nn.Module, inputs: torch.Tensor) -> torch.fx.GraphModule:
    return rewritten(export(module.eval(), inputs[:2]), fold=True)


def found_in(module: nn.Module, inputs: torch.Tensor) -> list[tuple[str, str]]:
    return [pair.layers for pair in pairs(graph_of(module, inputs), lambda _: True)]


def quantized(module: nn.Module, inputs: torch.Tensor, **options) -> Variant:
    step = Quantize(**{"equalize": True, "granularity": "tensor", "correct_biases": False} | options)
    return step.apply(Variant(module), context_of(inputs))


def off(variant: Variant, module: nn.Module, inputs: torch.Tensor) -> float:
    exact = parts.logits(module, inputs)
    return float((parts.logits(variant.graph, inputs) - exact).norm() / exact.norm())


@given(
    dimensions=st.integers(1, 3),
    groups=st.sampled_from([1, 2, 4]),
    each=st.integers(1, 3),
    bias=st.booleans(),
    relu=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=8, deadline=None)
def test_outputs_stay_the_same_and_the_ranges_of_each_pair_become_alike(dimensions, groups, each, bias, relu, seed):
    torch.manual_seed(seed)
    kind, channels = CONVOLUTIONS[dimensions - 1], 4 * each
    first = kind(2, channels, 3, padding=1, bias=bias)
    second = kind(channels, 4, 2, groups=groups, bias=bias)
    with torch.no_grad():
        first.weight.mul_(10 ** torch.randn(channels).view(-1, *[1] * (dimensions + 1)))
    module = nn.Sequential(first, *([nn.ReLU()] if relu else []), second)
    inputs = torch.randn(2, 2, *[5] * dimensions)
    graph = graph_of(module, inputs)
    (pair,) = found = pairs(graph, lambda _: True)
    equalize(graph, found)
    weights = [constant_of(graph, call.args[1]) for call in (pair.first, pair.second)]
    assert torch.allclose(factors(*weights, groups), torch.ones(channels), rtol=2e-3)
    exact = module(inputs)
    # Products of float32 scaled by a factor and by its inverse: a few ε of the largest of them.
    assert (graph(inputs) - exact).abs().max() <= 1e-5 * exact.abs().max().clamp(min=1.0)


@given(seed=st.integers(0, 99), groups=st.sampled_from([1, 2, 3, 6]))
@settings(max_examples=20, deadline=None)
def test_factors_are_those_of_the_formula_channel_by_channel(seed, groups):
    torch.manual_seed(seed)
    first, second = torch.randn(6, 3, 2, 2), torch.randn(12, 6 // groups, 2, 2)
    first[1], second[:, 0] = 0.0, second[:, 0] * 50
    found = factors(first, second, groups)
    for channel in range(6):
        group, within = divmod(channel, 6 // groups)
        ours = first[channel].abs().max()
        theirs = second[group * 12 // groups : (group + 1) * 12 // groups, within].abs().max()
        wanted = (ours * theirs).sqrt() / theirs if ours > 0 else torch.tensor(1.0)
        assert torch.isclose(found[channel], wanted)


def test_normalisations_are_folded_first_and_depthwise_convolutions_are_in_two_pairs(module, images):
    assert found_in(module, images) == [("conv", "depthwise"), ("depthwise", "pointwise")]


def test_what_is_read_elsewhere_shared_or_bent_otherwise_is_left_alone(images):
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

        def forward(self, images):
            features = torch.relu(self.one(images))
            return self.other(features) + features

    conv = nn.Conv2d(3, 3, 1)
    for model in (
        Twice(),
        nn.Sequential(conv, nn.ReLU(), conv),
        nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU6(), nn.Conv2d(3, 3, 1)),
        nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.ConvTranspose2d(3, 3, 1)),
    ):
        assert not found_in(model, images)
        variant = quantized(model, images)
        assert any(notice.startswith("equalize changed nothing") for notice in variant.notices)


def test_one_scale_for_a_layer_loses_less_once_its_channels_are_equalized(module, images):
    with_it, without = (off(quantized(module, images, equalize=on), module, images) for on in (True, False))
    assert with_it < without / 2


def test_it_is_off_unless_asked_for(module, images):
    assert not Quantize().equalize
    assert Quantize(equalize=True, correct_biases=False).label() == "int8, equalize convolutions on, correct biases off"
    assert not quantized(module, images, equalize=False).remarks.get("conv", "").count("equalized")


def test_the_given_module_stays_as_it_was_and_the_receipt_names_the_pairs(module, images):
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    variant = quantized(module, images, granularity="channel")
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert variant.remarks["depthwise"] == "channels equalized with those of conv and pointwise"
    assert "head" not in variant.remarks


def test_layers_that_stay_in_fp32_keep_their_weights(module, images):
    variant = quantized(module, images, overrides={"pointwise": "fp32"})
    assert torch.equal(variant.graph.get_parameter("pointwise.weight"), module.pointwise.weight)
    assert "pointwise" not in variant.remarks["depthwise"]


def test_trained_weights_are_not_scaled_afterwards(module, images):
    assert "equalized" not in quantized(module, images, epochs=1).remarks.get("conv", "")


def test_a_layer_s_error_is_that_of_rounding_and_not_of_the_scaling(module, images):
    with_it, without = (
        output_errors(module, quantized(module, images, equalize=on, granularity="channel"), images)
        for on in (True, False)
    )
    assert all(with_it[layer] < 3 * without[layer] for layer in ("conv", "depthwise", "pointwise"))


def test_it_is_asked_for_where_ranges_are_calibrated_and_nothing_is_trained():
    when = Quantize.model_fields["equalize"].json_schema_extra["when"]
    assert when["epochs"] == [0]
    assert set(when["scheme"]) == {"auto", *(name for name, each in registered().items() if each.is_calibrated)}
