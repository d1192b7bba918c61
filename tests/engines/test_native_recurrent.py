"""GRU and LSTM on the native engine: one program, equal to eager in float32 and to their graph in int8."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import nn

from workbench import engines, kernels
from workbench.engines.native import Native
from workbench.engines.native.pieces import PiecewiseRunner
from workbench.engines.native.runner import NativeRunner
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Data

pytestmark = pytest.mark.skipif(kernels.unavailable() is not None, reason=str(kernels.unavailable()))
ISAS = kernels.isas() if kernels.unavailable() is None else []
EPSILON = torch.finfo(torch.float32).eps
WITH_STATES = ("int8-static", "int8-dynamic")
SUMS = 200 * EPSILON
"""Order of summation alone: each of some ten steps moves its state by a few ε · √n, n ≤ 80, and hands it on."""


class Recurrent(nn.Module):
    """A linear layer, a recurrent one and a linear one over what is taken of it."""

    def __init__(self, kind: type[nn.RNNBase], take, **options) -> None:
        super().__init__()
        self.take = take
        self.embed, self.recurrent = nn.Linear(12, 20), kind(20, 33, **{"batch_first": True} | options)
        self.head = nn.LazyLinear(5)

    def forward(self, x):
        x = self.embed(x)
        if not self.recurrent.batch_first:
            x = x.transpose(0, 1)
        return self.head(self.take(*self.recurrent(x)))


def last_step(outputs, state):
    return outputs[:, -1]


def last_state(outputs, state):
    return (state[0] if isinstance(state, tuple) else state)[-1]


def all_states(outputs, state):
    state = state[0] if isinstance(state, tuple) else state
    return state.transpose(0, 1).flatten(1)


def both_ends(outputs, state):
    state = state[0] if isinstance(state, tuple) else state
    return torch.cat([state[-2], state[-1]], 1)


class Rows(nn.Module):
    """An image's rows, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent, self.head = nn.GRU(12, 40, batch_first=True), nn.Linear(40, 5)

    def forward(self, x):
        return self.head(self.recurrent(x.squeeze(1))[0].mean(1))


class Words(nn.Module):
    """Tokens by their numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(50, 24), nn.Linear(31, 5)
        self.recurrent = nn.LSTM(24, 31, batch_first=True)

    def forward(self, x):
        return self.head(self.recurrent(self.table(x.long()))[0][:, -1])


MODELS = {
    "a GRU's last step": lambda: Recurrent(nn.GRU, last_step),
    "an LSTM's last step": lambda: Recurrent(nn.LSTM, last_step),
    "a GRU's last state": lambda: Recurrent(nn.GRU, last_state),
    "an LSTM of two levels": lambda: Recurrent(nn.LSTM, last_state, num_layers=2, dropout=0.5),
    "a GRU in both directions": lambda: Recurrent(nn.GRU, both_ends, bidirectional=True),
    "an LSTM of two levels in both directions": lambda: Recurrent(
        nn.LSTM, all_states, num_layers=2, bidirectional=True
    ),
    "a GRU without biases": lambda: Recurrent(nn.GRU, last_step, bias=False),
    "an LSTM whose steps come first": lambda: Recurrent(nn.LSTM, lambda outputs, state: outputs[-1], batch_first=False),
    "every step of a GRU": lambda: Recurrent(nn.GRU, lambda outputs, state: outputs),
    "rows": Rows,
    "words": Words,
}


@cache
def variants(name: str) -> tuple[Variant, torch.Tensor]:
    torch.manual_seed(0)
    model = MODELS[name]()
    shape = {"rows": (1, 9, 12), "words": (9,)}.get(name, (9, 12))
    inputs = torch.randint(0, 50, (64, *shape)).float() if name == "words" else torch.randn(64, *shape)
    model(inputs[:2])
    return Variant(model.eval()), inputs


@cache
def int8(name: str, scheme: str = "int8-weights") -> Variant:
    plain, inputs = variants(name)
    context = Context(train=Data(inputs[:32], torch.zeros(32, dtype=torch.long)))
    return Quantize(scheme=scheme).apply(plain, context)


def prepare(variant: Variant, example: torch.Tensor):
    return Native().prepare(variant, example, threads=2)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", MODELS)
def test_float_models_give_what_eager_gives_in_one_program(name, isa, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ISA", isa)
    plain, inputs = variants(name)
    with torch.no_grad():
        wanted = plain.module(inputs)
    runner = prepare(plain, inputs[:4])
    assert isinstance(runner, NativeRunner)
    assert (runner(inputs) - wanted).norm() <= SUMS * wanted.norm()
    assert (runner(inputs[:1]) - wanted[:1]).norm() <= SUMS * wanted[:1].norm()


@pytest.mark.parametrize("name", MODELS)
def test_the_receipt_names_the_kernel_of_a_recurrent_layer(name):
    plain, inputs = variants(name)
    kind = type(plain.module.recurrent).__name__.lower()
    ran = {variant.precision: prepare(variant, inputs[:2]).kernels["recurrent"] for variant in (plain, int8(name))}
    isa = kernels.chosen_isa()
    assert (ran["fp32"].name, ran["fp32"].dtype) == (f"{kind}_f32_{isa}", "float32")
    eight = ran["int8-weights"]
    assert (eight.name, eight.dtype, eight.reality) == (f"{kind}_f32s8_{isa}", "int8", "real")


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", MODELS)
def test_models_with_weights_in_int8_give_what_their_graph_gives(name, isa, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ISA", isa)
    _, inputs = variants(name)
    with torch.no_grad():
        wanted = int8(name).graph(inputs)
    runner = prepare(int8(name), inputs[:4])
    assert isinstance(runner, NativeRunner)
    assert (runner(inputs) - wanted).norm() <= SUMS * wanted.norm()


@pytest.mark.parametrize("scheme", WITH_STATES)
@pytest.mark.parametrize(("name", "kind"), [("a GRU's last step", "gru"), ("an LSTM's last step", "lstm")])
def test_the_receipt_names_the_kernel_that_multiplies_states_in_int8(name, kind, scheme):
    ran = prepare(int8(name, scheme), variants(name)[1][:2]).kernels["recurrent"]
    assert (ran.name, ran.dtype, ran.reality) == (f"{kind}_u8s8_{kernels.chosen_isa()}", "int8", "real")


EVERYWHERE = "an LSTM of two levels in both directions"


@pytest.mark.parametrize(("name", "isa"), [*((name, None) for name in MODELS), *((EVERYWHERE, isa) for isa in ISAS)])
def test_models_with_states_in_int8_give_what_their_graph_gives(name, isa, monkeypatch):
    if isa:
        monkeypatch.setenv("WORKBENCH_ISA", isa)
    _, inputs = variants(name)
    with torch.no_grad():
        wanted = int8(name, "int8-static").graph(inputs)
    runner = prepare(int8(name, "int8-static"), inputs[:4])
    assert isinstance(runner, NativeRunner)
    # A value at the edge of two steps may fall to the other side, which moves one state by 1/127 of its range.
    assert (runner(inputs) - wanted).norm() <= wanted.norm() / 255


@pytest.mark.parametrize("name", MODELS)
def test_ranges_of_what_comes_lose_no_more_than_their_graph(name):
    plain, inputs = variants(name)
    variant = int8(name, "int8-dynamic")
    with torch.no_grad():
        exact, graph = plain.module(inputs), variant.graph(inputs)
    runner = prepare(variant, inputs[:4])
    assert isinstance(runner, NativeRunner)
    # Rows' own ranges are finer than one for the batch; a tenth more allows for chance.
    assert (runner(inputs) - exact).norm() <= 1.1 * (graph - exact).norm()


@pytest.mark.parametrize("scheme", ["int8-weights", *WITH_STATES])
def test_eager_imitates_int8_and_says_so(scheme):
    name = "an LSTM of two levels"
    variant, inputs = int8(name, scheme), variants(name)[1]
    imitated = engines.find("eager").prepare(variant, inputs[:2], threads=1)
    assert imitated.kernels["recurrent"].reality == "simulated"
    with torch.no_grad():
        wanted = variant.graph(inputs)
    assert (imitated(inputs) - wanted).norm() <= SUMS * wanted.norm()


@pytest.mark.skipif(not ISAS or not kernels.multiplies_bf16(kernels.chosen_isa()), reason="no bf16 kernels here")
def test_in_bf16_the_steps_stay_in_float32_and_the_receipt_says_so():
    plain, inputs = variants("a GRU's last step")
    runner = prepare(plain.having(precision="bf16"), inputs[:4])
    ran = runner.kernels["recurrent"]
    assert (ran.dtype, ran.reality) == ("float32", "simulated")
    assert "no bf16 kernel" in ran.reason
    with torch.no_grad():
        wanted = plain.module(inputs)
    # Inputs and weights of three layers are rounded to eight bits, by 2⁻⁹ at most and independently of each other.
    assert (runner(inputs) - wanted).norm() <= 6 * 2**-9 * wanted.norm()


class Started(nn.Module):
    """Begins where it learnt to."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.randn(1, 1, 6))
        self.before, self.recurrent, self.head = nn.Linear(4, 90), nn.GRU(90, 6, batch_first=True), nn.Linear(6, 900)

    def forward(self, x):
        start = self.start.expand(1, x.shape[0], 6).contiguous()
        return self.head(torch.relu(self.recurrent(self.before(x), start)[0]))


class Remembered(nn.Module):
    """Gives what its cells end with."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.recurrent = nn.Linear(4, 90), nn.LSTM(90, 6, batch_first=True)
        self.middle, self.head = nn.Linear(6, 900), nn.Linear(900, 200)

    def forward(self, x):
        return self.head(torch.relu(self.middle(self.recurrent(self.before(x))[1][1][0])))


@pytest.mark.parametrize(("make", "why"), [(Started, "state that isn't zero"), (Remembered, "last cell state is used")])
def test_what_the_kernels_do_not_compute_is_left_to_pytorch_with_the_reason(make, why):
    torch.manual_seed(0)
    model, inputs = make().eval(), torch.randn(8, 5, 4)
    runner = prepare(Variant(model), inputs)
    assert isinstance(runner, PiecewiseRunner)
    assert why in runner.kernels["recurrent"].reason
    with torch.no_grad():
        wanted = model(inputs)
    assert (runner(inputs) - wanted).norm() <= SUMS * wanted.norm()


@pytest.mark.parametrize(("scheme", "dtype"), [(None, "float32"), ("int8-static", "int8")])
def test_a_recurrent_layer_does_its_weights_once_for_each_step(scheme, dtype):
    name = "a GRU's last step"
    plain, inputs = variants(name)
    works = prepare(int8(name, scheme) if scheme else plain, inputs[:4]).layer_work(inputs[:4])["recurrent"]
    assert {work.dtype for work in works} == {dtype}
    assert sum(work.multiply_adds for work in works) == 4 * 9 * (3 * 33 * 20 + 3 * 33 * 33)
