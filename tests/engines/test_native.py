"""The native engine on whole models: equal to what it was made from, on every instruction set, from any thread."""

from __future__ import annotations

import concurrent.futures
import gc
from functools import cache

import psutil
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.engines.models import float_and_int8
from workbench import kernels
from workbench.engines.native import Native
from workbench.engines.native.pick.keep import KEPT
from workbench.errors import EngineError
from workbench.graph.fused.lower.storage import lowered
from workbench.graph.fused.ops import Convert, Pool
from workbench.graph.fused.read.reader import read
from workbench.variant import Variant

pytestmark = pytest.mark.skipif(kernels.unavailable() is not None, reason=str(kernels.unavailable()))
ISAS = kernels.isas() if kernels.unavailable() is None else []


class Mixed(nn.Module):
    """Residuals, strides, depthwise, a gate, concatenation and several activations in one small model."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.left = nn.Sequential(nn.Conv2d(16, 24, 3, 2, 1, bias=False), nn.BatchNorm2d(24))
        self.right = nn.Conv2d(16, 24, 1, 2)
        self.depthwise = nn.Sequential(nn.Conv2d(24, 24, 3, padding=1, groups=24), nn.ReLU6())
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(24, 24, 1), nn.Sigmoid())
        self.wide = nn.Conv2d(24, 20, (3, 5), padding=(2, 4), dilation=2)
        self.grouped = nn.Sequential(nn.Conv2d(24, 32, 3, padding=1, groups=4), nn.Hardswish())
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.head = nn.Linear(52, 10)

    def forward(self, x):
        x = self.stem(x)
        x = F.relu(self.left(x) + self.right(x))
        x = self.depthwise(x) + x
        x = x * self.gate(x)
        x = torch.cat([self.wide(x), self.grouped(x)], 1)
        return self.head(F.dropout(self.pool(x).mean((2, 3)), 0.2, self.training))


def convnet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1568, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(50, 33), nn.ReLU(), nn.Linear(33, 64), nn.Sigmoid(), nn.Linear(64, 7))


MODELS = {"convnet": (convnet, (1, 28, 28)), "perceptron": (perceptron, (50,)), "mixed": (Mixed, (3, 13, 13))}


@cache
def variants(name: str) -> tuple[Variant, Variant, torch.Tensor]:
    """The float variant, its int8 one, and inputs they weren't calibrated on."""
    make, shape = MODELS[name]
    torch.manual_seed(0)
    model = make().eval()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.2)
            layer.running_var.uniform_(0.5, 2)
    inputs = torch.randn(64, *shape)
    return *float_and_int8(model, inputs[:40]), inputs[40:]


def prepare(variant: Variant, example: torch.Tensor, threads: int = 2):
    return Native().prepare(variant, example, threads=threads)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", MODELS)
def test_float_models_give_what_eager_gives(name, isa, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ISA", isa)
    plain, _, inputs = variants(name)
    with torch.no_grad():
        wanted = plain.module(inputs)
    got = prepare(plain, inputs[:4])(inputs)
    # Summation order alone moves each layer by about ε · √n; a hundred ε bounds the ten layers here.
    assert (got - wanted).norm() <= 100 * torch.finfo(torch.float32).eps * wanted.norm()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", MODELS)
def test_int8_models_give_what_their_graph_gives(name, isa, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ISA", isa)
    plain, int8, inputs = variants(name)
    with torch.no_grad():
        wanted, exact = int8.graph(inputs), plain.module(inputs)
    runner = prepare(int8, inputs[:4])
    got = runner(inputs)
    # A value on the edge between two steps may fall to either side; that is small against what rounding
    # to eight bits costs in the first place.
    assert (got - wanted).norm() <= 0.1 * (wanted - exact).norm()
    assert all(kernel.reality == "real" or kernel.reason == KEPT for kernel in runner.kernels.values())


def test_an_int8_layer_without_a_half_way_value_is_reproduced_to_the_last_step():
    _, int8, inputs = variants("convnet")
    with torch.no_grad():
        wanted = int8.graph(inputs)
    got = prepare(int8, inputs)(inputs)
    step = (wanted.max() - wanted.min()) / 255
    assert ((got - wanted).abs() <= step).float().mean() >= 0.999


def test_a_maximum_before_quantization_is_taken_of_bytes():
    _, int8, _ = variants("convnet")
    graph = lowered(read(int8.graph), int8.precision)
    pools = [op for op in graph.ops if isinstance(op, Pool)]
    assert len(pools) == 2
    assert all(op.inputs[0].quant == op.output.quant is not None for op in pools)
    assert [op for op in graph.ops if isinstance(op, Convert)] == graph.ops[:1]  # the image's own


@pytest.mark.parametrize("batch", [1, 2, 3, 17, 24])
def test_a_runner_serves_every_batch_size(batch):
    _, int8, inputs = variants("mixed")
    runner = prepare(int8, inputs[:3])
    torch.testing.assert_close(runner(inputs[:batch]), runner(inputs)[:batch], rtol=0, atol=0)


def test_threads_and_runners_do_not_disturb_each_other():
    _, int8, inputs = variants("mixed")
    _, other, other_inputs = variants("convnet")
    runners = [(prepare(int8, inputs), inputs), (prepare(other, other_inputs), other_inputs)]
    alone = [runner(x) for runner, x in runners]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [(i, pool.submit(runners[i][0], runners[i][1])) for _ in range(50) for i in (0, 1)]
        assert all(torch.equal(job.result(), alone[i]) for i, job in jobs)


def test_inputs_of_any_layout_and_type_are_taken_or_refused_clearly():
    plain, _, inputs = variants("convnet")
    runner = prepare(plain, inputs[:2])
    wanted = runner(inputs)
    strided = inputs.expand(24, 1, 28, 28).transpose(2, 3).contiguous().transpose(2, 3)
    torch.testing.assert_close(runner(strided), wanted, rtol=0, atol=0)
    torch.testing.assert_close(runner(inputs.double()), wanted, rtol=0, atol=0)
    for bad in (inputs[:, :, :27], inputs[:0], inputs[0], "picture"):
        with pytest.raises(EngineError, match=r"prepared for|empty|takes a tensor"):
            runner(bad)


def test_a_closed_runner_says_so():
    plain, _, inputs = variants("perceptron")
    runner = prepare(plain, inputs)
    runner.close()
    with pytest.raises(EngineError, match="closed"):
        runner(inputs)


def test_an_unknown_operation_is_named():
    class Odd(nn.Module):
        def forward(self, x):
            return torch.cumsum(x, 1)

    with pytest.raises(EngineError, match="cumsum"):
        prepare(Variant(Odd().eval()), torch.rand(2, 4))


def test_layer_times_name_the_layers_and_add_up_to_less_than_seconds():
    plain, _, inputs = variants("convnet")
    times = prepare(plain, inputs).layer_times_ms(inputs, repeats=5)
    assert {"0", "2", "3", "5", "7", "9"} <= set(times)
    assert all(0 < milliseconds < 1e3 for milliseconds in times.values())


def test_an_unknown_instruction_set_is_refused_with_those_there_are(monkeypatch):
    monkeypatch.setenv("WORKBENCH_ISA", "avx1024")
    assert "avx1024" in Native().unavailable()


def test_hundreds_of_prepares_and_releases_leave_memory_and_threads_as_they_were():
    _, int8, inputs = variants("perceptron")  # with its graph there: torch.export itself keeps a little each time

    def rounds(count):
        for _ in range(count):
            runner = prepare(int8, inputs[:2])
            runner(inputs[:2])
            runner.close()
        gc.collect()
        process = psutil.Process()
        return process.memory_info().rss, process.num_threads()

    memory, threads = rounds(50)
    memory_after, threads_after = rounds(400)
    # The packed weights are 8 kB: leaked each round, they would show as 3.2 MB.
    assert memory_after - memory < 1_500_000
    assert threads_after == threads
