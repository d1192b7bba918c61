"""Models with an operation that no kernel takes: that piece is PyTorch's, the rest stays native, and all is told."""

from __future__ import annotations

import concurrent.futures
from functools import cache

import pytest
import torch
from torch import nn

from tests.engines.models import float_and_int8, tolerance
from workbench import kernels
from workbench.engines._program import executed
from workbench.engines.native import Native
from workbench.errors import EngineError
from workbench.models.calling import Calling, adapted
from workbench.variant import Variant

pytestmark = [
    pytest.mark.skipif(kernels.unavailable() is not None, reason=str(kernels.unavailable())),
    pytest.mark.usefixtures("every_layer_in_int8"),
]
EPSILON = torch.finfo(torch.float32).eps


class Running(nn.Module):
    """Sums along the rows; no kernel of ours does."""

    def forward(self, x):
        return torch.cumsum(x, 2) / (x.shape[0] * 0 + 8)


class Mixing(nn.Module):
    """Unknown to the native engine, with a weighted layer of its own beside the unknown operation."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(8, 8, 1)

    def forward(self, x):
        batch, channels, height, width = x.shape
        rolled = torch.roll(self.inner(x), 1, 2).view(batch, channels * height, width)
        return x + rolled.view(batch, channels, height, width)


def model() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), Running(),
        nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), Mixing(),
        nn.MaxPool2d(2), nn.Conv2d(8, 12, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12 * 4, 10),
    )  # fmt: skip


@cache
def variants() -> tuple[Variant, Variant, torch.Tensor]:
    torch.manual_seed(0)
    inputs = torch.randn(48, 3, 8, 8)
    return *float_and_int8(model().eval(), inputs[:32]), inputs[32:]


def prepare(variant: Variant, example: torch.Tensor):
    return Native().prepare(variant, example, threads=2)


@cache
def runners():
    """One for each variant, prepared at batch 1."""
    plain, int8, inputs = variants()
    return prepare(plain, inputs[:1]), prepare(int8, inputs[:1])


@pytest.mark.parametrize("batch", [1, 2, 16])
def test_a_model_with_an_unknown_operation_gives_what_eager_gives_at_every_batch(batch):
    plain, _, inputs = variants()
    with torch.no_grad():
        wanted = plain.module(inputs[:batch])
    got = runners()[0](inputs[:batch])
    # As for whole models: a hundred ε bounds the reordered sums of these five layers.
    assert (got - wanted).norm() <= 100 * EPSILON * wanted.norm()


def test_an_int8_model_with_an_unknown_operation_gives_what_its_graph_gives():
    plain, int8, inputs = variants()
    with torch.no_grad():
        wanted, exact = int8.graph(inputs), plain.module(inputs)
    got = runners()[1](inputs)
    # As for whole models: half-way values may round to either side, little beside the rounding itself.
    assert (got - wanted).norm() <= 0.1 * (wanted - exact).norm()


def test_the_receipt_says_which_layers_pytorch_ran_and_why():
    ran = runners()[0].kernels
    assert {layer for layer, kernel in ran.items() if "PyTorch" in kernel.name} == {"3", "6", "6.inner"}
    assert "aten.cumsum" in ran["3"].reason
    assert "aten.roll" in ran["6.inner"].reason
    assert all("avx" in ran[layer].name or "reference" in ran[layer].name for layer in ("0", "4", "8", "11"))


def test_int8_layers_that_pytorch_runs_count_as_simulated():
    ran = runners()[1].kernels
    assert {layer: ran[layer].reality for layer in ("0", "4", "6.inner", "8")} == {
        "0": "real", "4": "real", "6.inner": "simulated", "8": "real",
    }  # fmt: skip


def test_layer_times_say_what_each_piece_costs():
    inputs = variants()[2]
    times = runners()[0].layer_times_ms(inputs, repeats=3)
    assert {"0", "3", "4", "6", "6.inner", "7", "8", "11"} <= set(times)
    assert all(0 < milliseconds < 1e4 for milliseconds in times.values())


def test_only_layers_that_are_native_as_a_whole_have_their_work_counted():
    _, _, inputs = variants()
    work = runners()[1].layer_work(inputs)
    assert {"0", "4", "8", "11"} <= set(work)
    assert not {"3", "6", "6.inner"} & set(work)


def test_a_model_of_which_nothing_is_worth_a_program_is_refused_by_the_operation():
    class Odd(nn.Module):
        def forward(self, x):
            return torch.cumsum(torch.relu(x), 1)

    with pytest.raises(EngineError, match="cumsum"):
        prepare(Variant(Odd().eval()), torch.rand(2, 4))


def test_a_model_that_pytorch_would_mostly_run_is_refused_so_that_another_engine_takes_it():
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.RNN(8, 32, batch_first=True), nn.Linear(32, 4)

        def forward(self, x):
            return self.head(self.rnn(x)[0])

    with pytest.raises(EngineError, match=r"rnn_tanh.*too little of the model"):
        prepare(Variant(Odd().eval()), torch.rand(2, 6, 8))


@pytest.mark.parametrize("precision", ["fp32", "int8-static"])
def test_an_encoder_of_pairs_is_native_between_what_joins_them_and_parts_them(precision):
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 16)).eval()
    model = adapted(encoder, Calling(pairs=True), 2)
    inputs = torch.randn(48, 12), torch.randn(48, 12)
    plain, int8 = float_and_int8(model, inputs)
    asked = plain if precision == "fp32" else int8
    runner = Native().prepare(asked, tuple(each[:2] for each in inputs), threads=1)
    assert {layer for layer, kernel in runner.kernels.items() if "PyTorch" not in kernel.name} >= {"0", "2"}
    for batch in (1, 2, 5):
        given = tuple(each[:batch] for each in inputs)
        with torch.no_grad():
            wanted = executed(asked)(*given)
        assert runner(*given).shape == (batch, 2, 16)
        assert (runner(*given) - wanted).abs().max().item() <= tolerance(asked.precision, wanted)


def test_pieces_may_be_called_from_several_threads():
    runner, inputs = runners()[0], variants()[2]
    alone = runner(inputs)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        results = list(pool.map(runner, [inputs] * 12))
    # PyTorch may share its sums out otherwise in a thread of its own.
    assert all((result - alone).norm() <= 100 * EPSILON * alone.norm() for result in results)


def test_a_closed_runner_of_pieces_says_so():
    plain, _, inputs = variants()
    runner = prepare(plain, inputs)
    runner.close()
    with pytest.raises(EngineError, match="closed"):
        runner(inputs)
