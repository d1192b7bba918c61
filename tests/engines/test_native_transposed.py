"""Transposed convolutions on the native engine: as eager in float32, as their graph in int8, whatever instructions."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import nn

from tests.engines.models import float_and_int8
from workbench import kernels
from workbench.engines.native import Native
from workbench.engines.native.pick.keep import KEPT
from workbench.engines.native.runner import NativeRunner
from workbench.variant import Variant

pytestmark = pytest.mark.skipif(kernels.unavailable() is not None, reason=str(kernels.unavailable()))
ISAS = kernels.isas() if kernels.unavailable() is None else []
EPSILON = torch.finfo(torch.float32).eps
WINDOWS = [
    dict(kernel_size=2, stride=2),
    dict(kernel_size=3, stride=2, padding=1, output_padding=1),
    dict(kernel_size=4, stride=2, padding=1, groups=4),
    dict(kernel_size=5, padding=3),
    dict(kernel_size=(2, 5), stride=(3, 4), padding=(0, 2)),  # outputs between rows that get nothing but the bias
    dict(kernel_size=3, stride=2, dilation=3, padding=2),
    dict(
        kernel_size=3, stride=3, padding=4, groups=8
    ),  # each channel by itself; the outermost inputs count for nothing
]


class Decoder(nn.Module):
    """Down, up again by transposed convolutions, one with a batch norm behind it, one added to what was there."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.down = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 24, 3, 2, 1)
        self.up = nn.Sequential(nn.ConvTranspose2d(24, 16, 2, 2, bias=False), nn.BatchNorm2d(16))
        self.last = nn.ConvTranspose2d(16, 4, 3, 2, 1, 1)

    def forward(self, x):
        fine = torch.relu(self.first(x))
        return self.last(torch.relu(self.up(torch.relu(self.down(fine))) + fine))


def line() -> nn.Module:
    return nn.Sequential(
        nn.ConvTranspose1d(5, 16, 4, 2, 1), nn.ReLU(), nn.ConvTranspose1d(16, 12, 5, 3, groups=2), nn.ReLU(),
        nn.Conv1d(12, 4, 3),
    )  # fmt: skip


MODELS = {"decoder": (Decoder, (3, 10, 10)), "line": (line, (5, 17))}


@cache
def variants(name: str) -> tuple[Variant, Variant, torch.Tensor]:
    make, shape = MODELS[name]
    torch.manual_seed(0)
    inputs = torch.randn(48, *shape)
    return *float_and_int8(make().eval(), inputs[:32]), inputs[32:]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_any_window_gives_what_torch_gives(window):
    torch.manual_seed(0)
    model, images = nn.ConvTranspose2d(8, 8, **window), torch.randn(3, 8, 6, 5)
    runner = Native().prepare(Variant(model.eval()), images, threads=1)
    assert isinstance(runner, NativeRunner)
    with torch.no_grad():
        wanted = model(images)
    # Sums of n ≤ 8 · 25 terms err by about ε · √n.
    assert (runner(images) - wanted).norm() <= 200**0.5 * EPSILON * wanted.norm()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", MODELS)
def test_float_models_give_what_eager_gives(name, isa, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ISA", isa)
    plain, _, inputs = variants(name)
    runner = Native().prepare(plain, inputs[:2], threads=2)
    with torch.no_grad():
        wanted = plain.module(inputs)
    assert isinstance(runner, NativeRunner)
    # Each layer's sums of n ≤ 216 terms err by about ε · √n; four layers.
    assert (runner(inputs) - wanted).norm() <= 4 * 216**0.5 * EPSILON * wanted.norm()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", MODELS)
def test_int8_models_give_what_their_graph_gives(name, isa, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ISA", isa)
    plain, int8, inputs = variants(name)
    runner = Native().prepare(int8, inputs[:2], threads=2)
    with torch.no_grad():
        wanted, exact = int8.graph(inputs), plain.module(inputs)
    # A value on the edge between two steps may fall to either side; little beside the rounding to eight bits.
    assert (runner(inputs) - wanted).norm() <= 0.1 * (wanted - exact).norm()
    assert all(kernel.dtype == "int8" or kernel.reason == KEPT for kernel in runner.kernels.values())
    assert len(runner.kernels) == len(list(filter(lambda p: p.dim() > 1, plain.module.parameters())))


@pytest.mark.parametrize("isa", [isa for isa in ISAS if kernels.multiplies_bf16(isa)])
def test_a_model_in_bf16_is_off_by_its_rounding_alone(isa, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ISA", isa)
    plain, _, inputs = variants("decoder")
    runner = Native().prepare(plain.having(precision="bf16"), inputs[:2], threads=2)
    with torch.no_grad():
        wanted = plain.module(inputs)
    # Weights and inputs of four layers, rounded to 2⁻⁹ of themselves each.
    assert (runner(inputs) - wanted).norm() <= 8 * 2**-9 * wanted.norm()
    assert {kernel.dtype for kernel in runner.kernels.values()} == {"bfloat16"}
