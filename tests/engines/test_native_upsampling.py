"""Upsampling on the native engine: torch's own pixels, in bytes where its neighbours are in int8."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.engines.models import float_and_int8
from workbench import kernels
from workbench.engines.native import Native
from workbench.engines.native.pick.keep import KEPT
from workbench.engines.native.runner import NativeRunner
from workbench.graph.fused.lower.storage import lowered
from workbench.graph.fused.ops import Convert, Gather
from workbench.graph.fused.read.reader import read
from workbench.variant import Variant

pytestmark = pytest.mark.skipif(kernels.unavailable() is not None, reason=str(kernels.unavailable()))


class UNet(nn.Module):
    """Two levels; what comes from below is upsampled and joined with what was there."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.below = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 24, 3, padding=1)
        self.up, self.classes = nn.Conv2d(40, 16, 3, padding=1), nn.Conv2d(16, 5, 1)

    def forward(self, x):
        fine = torch.relu(self.down(x))
        coarse = torch.relu(self.below(nn.functional.max_pool2d(fine, 2)))
        return self.classes(
            torch.relu(self.up(torch.cat([nn.functional.interpolate(coarse, scale_factor=2), fine], 1)))
        )


def quantized() -> tuple[Variant, Variant, torch.Tensor]:
    torch.manual_seed(0)
    model, inputs = UNet().eval(), torch.randn(48, 3, 12, 12)
    return *float_and_int8(model, inputs[:32]), inputs[32:]


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
@pytest.mark.parametrize(
    "how", [dict(scale_factor=2), dict(scale_factor=(1.5, 2.7)), dict(size=(23, 4)), dict(size=9)], ids=str
)
def test_each_pixel_is_the_one_that_torch_takes(how, mode):
    model, images = nn.Upsample(**how, mode=mode), torch.randn(3, 5, 13, 11)
    runner = Native().prepare(Variant(model), images, threads=1)
    assert isinstance(runner, NativeRunner)
    assert torch.equal(runner(images), model(images))


def test_a_u_net_of_bytes_gives_what_its_graph_gives():
    plain, int8, inputs = quantized()
    runner = Native().prepare(int8, inputs[:2], threads=2)
    with torch.no_grad():
        wanted, exact = int8.graph(inputs), plain.module(inputs)
    # A value on the edge between two steps may fall to either side; little beside the rounding to eight bits.
    assert (runner(inputs) - wanted).norm() <= 0.1 * (wanted - exact).norm()
    assert all(kernel.reality == "real" or kernel.reason == KEPT for kernel in runner.kernels.values())


def test_bytes_are_upsampled_as_bytes():
    _, int8, _ = quantized()
    graph = lowered(read(int8.graph), int8.precision)
    (gather,) = (op for op in graph.ops if isinstance(op, Gather))
    assert gather.inputs[0].quant == gather.output.quant is not None
    assert not any(isinstance(op, Convert) for op in graph.ops if gather.output in op.reads)  # joined as they are
