"""Transformers on the native engine: equal to eager in float32, to their graph in int8, on every instruction set."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import nn

from tests.engines.models import float_and_int8
from tests.engines.transformers import ByHand, Causal, ConvNext, Encoder, Sentences
from workbench import kernels
from workbench.engines.native import Native
from workbench.engines.native.runner import NativeRunner
from workbench.errors import EngineError
from workbench.variant import Variant

pytestmark = [
    pytest.mark.skipif(kernels.unavailable() is not None, reason=str(kernels.unavailable())),
    pytest.mark.usefixtures("every_layer_in_int8"),
]
# the fastest here and the plainest: each kernel is tested by itself on every instruction set
ISAS = sorted({kernels.isas()[0], kernels.isas()[-1]}) if kernels.unavailable() is None else []
HAVE_BF16_ATTENTION = ("amx", "avx512bf16", "reference")
BF16_ATTENTION = [isa for isa in ISAS if isa in HAVE_BF16_ATTENTION]
FLOAT_ATTENTION = [isa for isa in kernels.isas() if isa not in HAVE_BF16_ATTENTION][:1] if ISAS else []
MODELS = {
    "encoder": (Encoder, (13, 48)), "sentences": (Sentences, (11,)), "by hand": (ByHand, (13, 40)),
    "causal": (Causal, (14, 32)), "convnext": (ConvNext, (3, 10, 10)),
}  # fmt: skip
EPSILON = torch.finfo(torch.float32).eps


@cache
def variants(name: str) -> tuple[Variant, Variant, torch.Tensor]:
    """The float variant, its int8 one, and inputs they weren't calibrated on."""
    torch.manual_seed(0)
    make, shape = MODELS[name]
    model = make().eval()
    inputs = torch.randint(0, 100, (48, *shape)).float() if name == "sentences" else torch.randn(48, *shape)
    return *float_and_int8(model, inputs[:32]), inputs[32:]


def prepare(variant: Variant, example: torch.Tensor):
    return Native().prepare(variant, example, threads=2)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", MODELS)
def test_float_transformers_give_what_eager_gives(name, isa, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ISA", isa)
    plain, _, inputs = variants(name)
    with torch.no_grad():
        wanted = plain.module(inputs)
    got = prepare(plain, inputs[:4])(inputs)
    # Each product of n terms errs by about ε · √n and each norm keeps that relative size; twelve of them, n ≤ 80.
    assert (got - wanted).norm() <= 12 * 80**0.5 * EPSILON * wanted.norm()


@pytest.mark.parametrize("isa", FLOAT_ATTENTION)
@pytest.mark.parametrize("name", MODELS)
def test_int8_transformers_give_what_their_graph_gives(name, isa, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ISA", isa)
    plain, int8, inputs = variants(name)
    with torch.no_grad():
        wanted, exact = int8.graph(inputs), plain.module(inputs)
    runner = prepare(int8, inputs[:4])
    # A value on the edge between two steps may fall to either side; little beside the rounding to eight bits.
    assert (runner(inputs) - wanted).norm() <= 0.1 * (wanted - exact).norm()
    assert any("u8s8" in kernel.name for kernel in runner.kernels.values())


@pytest.mark.parametrize("isa", BF16_ATTENTION)
@pytest.mark.parametrize("name", MODELS)
def test_attention_in_bf16_costs_int8_transformers_a_tenth_of_their_accuracy_at_most(name, isa, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ISA", isa)
    plain, int8, inputs = variants(name)
    with torch.no_grad():
        wanted, exact = int8.graph(inputs), plain.module(inputs)
    got = prepare(int8, inputs[:4])(inputs)
    # Two errors that know nothing of each other add as squares: a tenth more is what the rounding to bf16 makes of the
    # whole where by itself it is 0.45 of that to eight bits.
    assert (got - exact).norm() <= 1.1 * (wanted - exact).norm()


@pytest.mark.parametrize("name", ["encoder", "by hand", "causal", "convnext"])
def test_no_piece_of_these_needs_pytorch(name):
    plain, _, inputs = variants(name)
    assert isinstance(prepare(plain, inputs[:1]), NativeRunner)


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_transformers_serve_every_batch_size(batch):
    plain, _, inputs = variants("encoder")
    runner = prepare(plain, inputs[:2])
    torch.testing.assert_close(runner(inputs[:batch]), runner(inputs)[:batch], rtol=0, atol=0)


def test_layer_norms_and_attention_have_times_of_their_own():
    plain, _, inputs = variants("encoder")
    times = prepare(plain, inputs[:1]).layer_times_ms(inputs[:1], repeats=3)
    assert {"encoder.layers.0.self_attn", "encoder.layers.0.norm1", "encoder.layers.1.linear2", "head"} <= set(times)


@pytest.mark.parametrize("wrong", [-1.0, 100.0, float("nan")])
def test_a_token_outside_the_table_is_refused(wrong):
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(100, 8), nn.Linear(8, 3)

        def forward(self, ids):
            return self.head(self.table(ids.long()))

    runner = prepare(Variant(Words().eval()), torch.ones(2, 4))
    with pytest.raises(EngineError, match="outside the embedding's 100 rows"):
        runner(torch.tensor([[1.0, 2.0, wrong, 4.0]]))


def test_attention_with_a_mask_of_earlier_tokens_is_left_to_pytorch():
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.outer = nn.Linear(16, 64), nn.Linear(64, 16)
            self.mask = nn.Buffer(torch.triu(torch.ones(6, 6, dtype=torch.bool)))

        def forward(self, x):
            x = self.outer(torch.relu(self.inner(x)))
            return x + nn.functional.scaled_dot_product_attention(x, x, x, self.mask)

    model, inputs = Masked().eval(), torch.randn(3, 6, 16)
    with torch.no_grad():
        wanted = model(inputs)
    got = prepare(Variant(model), inputs)(inputs)
    assert (got - wanted).norm() <= 4 * 64**0.5 * EPSILON * wanted.norm()
