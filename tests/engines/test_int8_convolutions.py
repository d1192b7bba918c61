"""Convolutions in three dimensions and transposed ones in int8: what each engine gives, and what it says ran them."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import nn

from tests.engines.models import tolerance
from workbench import engines
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Data

MODELS = {
    "conv3d": (lambda: nn.Sequential(nn.Conv3d(4, 16, 3), nn.ReLU(), nn.Conv3d(16, 16, 3), nn.Flatten()), (4, 6, 6, 6)),
    "transposed": (
        lambda: nn.Sequential(
            nn.ConvTranspose2d(4, 16, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(16, 8, 3), nn.Flatten()
        ),
        (4, 6, 6),
    ),
}
REALITY = {
    ("eager", "conv3d"): {"simulated"}, ("onnxruntime", "conv3d"): {"real"}, ("openvino", "conv3d"): {"real"},
    ("eager", "transposed"): {"simulated"}, ("onnxruntime", "transposed"): {"simulated"},
    ("compiled", "transposed"): {"simulated"}, ("openvino", "transposed"): {"real", "simulated"},
    ("native", "transposed"): {"real"},
}  # fmt: skip
"""OpenVINO takes transposed convolutions in int8 by their sizes. Native refuses models of nothing but convolutions in
three dimensions, which it leaves to PyTorch."""


pytestmark = pytest.mark.usefixtures("cache_directory", "every_layer_in_int8")


@cache
def variant(name: str, saturates: bool) -> Variant:
    make, _ = MODELS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plain = Variant(make().eval().requires_grad_(False))
    inputs = images(name, 64)
    return Quantize().apply(plain, Context(train=Data(inputs, None), saturates=saturates))


def images(name: str, batch: int) -> torch.Tensor:
    return torch.randn(batch, *MODELS[name][1], generator=torch.Generator().manual_seed(batch))


@pytest.mark.parametrize(("engine", "name"), REALITY)
def test_an_engine_gives_what_the_graph_says_and_tells_whether_it_was_real(engine, name):
    found = engines.find(engine)
    if reason := found.unavailable():
        pytest.skip(reason)
    asked = variant(name, found.saturates())
    made = found.prepare(asked, images(name, 4), threads=1)
    for batch in (4, 1, 5):
        wanted = asked.graph(images(name, batch))
        assert (made(images(name, batch)) - wanted).abs().max().item() <= tolerance("int8-static", wanted)
    assert {kernel.reality for kernel in made.kernels.values()} <= REALITY[engine, name]
