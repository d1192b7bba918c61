"""One-dimensional convolutions and group norms on the native engine: as eager in float32, as their graph in int8."""

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
# the fastest here and the plainest: each kernel is tested by itself on every instruction set
ISAS = sorted({kernels.isas()[0], kernels.isas()[-1]}) if kernels.unavailable() is None else []
EPSILON = torch.finfo(torch.float32).eps


class MeanOfLine(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Sequential(
            nn.Conv1d(3, 16, 5, 2, 2), nn.BatchNorm1d(16), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(16, 24, 3, padding=1),
            nn.GroupNorm(4, 24), nn.GELU(), nn.Conv1d(24, 24, 3, padding=2, dilation=2, groups=24), nn.AvgPool1d(2),
        )  # fmt: skip
        self.head = nn.Linear(24, 5)

    def forward(self, x):
        return self.head(self.line(x).mean(2))


def whole_line() -> nn.Module:
    return nn.Sequential(nn.Conv1d(3, 16, 5, 2, 2), nn.ReLU(), nn.AdaptiveAvgPool1d(8), nn.Flatten(), nn.Linear(128, 5))


def grouped() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 12, 3, padding=1), nn.GroupNorm(3, 12), nn.SiLU(), nn.Conv2d(12, 20, 3, padding=1),
        nn.InstanceNorm2d(20), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(20, 5),
    )  # fmt: skip


MODELS = {"mean of a line": (MeanOfLine, (3, 32)), "whole line": (whole_line, (3, 32)), "grouped": (grouped, (3, 7, 7))}


@cache
def variants(name: str) -> tuple[Variant, Variant, torch.Tensor]:
    make, shape = MODELS[name]
    torch.manual_seed(0)
    inputs = torch.randn(48, *shape)
    return *float_and_int8(make().eval(), inputs[:32]), inputs[32:]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", MODELS)
def test_float_models_give_what_eager_gives(name, isa, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ISA", isa)
    plain, _, inputs = variants(name)
    with torch.no_grad():
        wanted = plain.module(inputs)
    runner = Native().prepare(plain, inputs[:2], threads=2)
    assert isinstance(runner, NativeRunner)
    # Each layer's sums of n ≤ 128 terms err by about ε · √n; five layers.
    assert (runner(inputs) - wanted).norm() <= 5 * 128**0.5 * EPSILON * wanted.norm()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", MODELS)
def test_int8_models_give_what_their_graph_gives(name, isa, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ISA", isa)
    plain, int8, inputs = variants(name)
    with torch.no_grad():
        wanted, exact = int8.graph(inputs), plain.module(inputs)
    runner = Native().prepare(int8, inputs[:2], threads=2)
    # A value on the edge between two steps may fall to either side; little beside the rounding to eight bits.
    assert (runner(inputs) - wanted).norm() <= 0.1 * (wanted - exact).norm()
    assert all(kernel.dtype == "int8" or kernel.reason == KEPT for kernel in runner.kernels.values())
