"""Convolutions in three dimensions and transposed ones in int8-static: scales, what they lose, what refuses them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.techniques import parts
from workbench.measure.weights import layer_states
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Data

LAYERS = {
    "Conv3d": (lambda: nn.Conv3d(3, 8, 3), (3, 5, 5, 5), 8),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(6, 8, 4, 2), (6, 9), 8),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(6, 8, 3, 2, groups=2), (6, 5, 5), 4),  # groups share their scales
}


def quantized(name: str, scheme: str = "int8-static") -> tuple[nn.Module, Variant, torch.Tensor]:
    make, shape, _ = LAYERS[name]
    torch.manual_seed(0)
    model, inputs = nn.Sequential(make(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(5)), torch.randn(64, *shape)
    model(inputs)
    variant = Quantize(scheme=scheme).apply(Variant(model.eval()), Context(train=Data(inputs, None)))
    return model, variant, inputs


@pytest.mark.parametrize("name", LAYERS)
def test_its_weights_are_bytes_with_a_scale_for_each_output_channel(name):
    model, variant, _ = quantized(name)
    state = layer_states(variant)["0"]
    scales = [len(value) for key, value in variant.graph.state_dict().items() if key.endswith("scale_0")]
    assert state.dtype == "int8"
    assert scales == [LAYERS[name][2]]
    assert state.weight_bytes < sum(4 * parameter.numel() for parameter in model[0].parameters())


@pytest.mark.parametrize("name", LAYERS)
def test_it_loses_little(name):
    model, variant, inputs = quantized(name)
    wanted = parts.logits(model, inputs)
    # Two layers whose weights and inputs are rounded to 1/255 of their ranges, some six standard deviations: each adds
    # 6 / 255 / √12 < 1 % of the output.
    assert 0 < (parts.logits(variant.graph, inputs) - wanted).norm() <= 0.03 * wanted.norm()


@pytest.mark.parametrize("name", LAYERS)
def test_int8_dynamic_leaves_it_alone_and_says_what_takes_it(name):
    _, variant, _ = quantized(name, "int8-dynamic")
    takes = "int8-dynamic quantizes linear, GRU and LSTM layers"
    assert variant.unchanged["0"] == f"{takes}; a convolution needs int8-static"
