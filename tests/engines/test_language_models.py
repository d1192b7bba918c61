"""Language models, int64 [N, T] → float32 [N, T, V] or classes, on every engine; the compiled one has its own tests."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.engines.models import tolerance
from workbench import engines
from workbench.engines import Runner
from workbench.engines.native.runner import NativeRunner
from workbench.measure.layers import receipt
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Data

WORDS, TOKENS, WIDTH, HEADS = 50, 12, 32, 2
ENGINES = ("eager", "native", "onnxruntime", "openvino")
PRECISIONS = ("fp32", "int8-dynamic")


class Causal(nn.Module):
    """A decoder of one block: each token's scores for the next depend on those up to it."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, WIDTH), nn.Embedding(TOKENS, WIDTH)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(WIDTH) for _ in range(3))
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, WORDS)

    def attention(self, query, key, value):
        return F.scaled_dot_product_attention(query, key, value, is_causal=True)

    def forward(self, ids):
        x = self.words(ids) + self.places(torch.arange(ids.shape[1]))
        split = self.qkv(self.norm1(x)).unflatten(2, (3, HEADS, WIDTH // HEADS)).unbind(2)
        x = x + self.out(self.attention(*(part.transpose(1, 2) for part in split)).transpose(1, 2).flatten(2))
        x = x + self.narrow(F.gelu(self.wide(self.norm2(x))))
        return self.head(self.norm3(x))


class MaskedByHand(Causal):
    """The same with its attention written out, the scores of later tokens filled with minus infinity."""

    def attention(self, query, key, value):
        scores = query @ key.transpose(-1, -2) * (WIDTH // HEADS) ** -0.5
        later = torch.triu(torch.ones(TOKENS, TOKENS, dtype=torch.bool), 1)
        return torch.softmax(scores.masked_fill(later, float("-inf")), -1) @ value


class Recurrent(nn.Module):
    """The last state of a GRU over token embeddings, classified."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.recurrent = nn.Embedding(WORDS, WIDTH), nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.head = nn.Linear(WIDTH, 4)

    def forward(self, ids):
        return self.head(self.recurrent(self.words(ids))[0][:, -1])


MODELS = {"causal": Causal, "masked by hand": MaskedByHand, "recurrent": Recurrent}


def tokens(batch: int) -> torch.Tensor:
    return torch.randint(0, WORDS, (batch, TOKENS), generator=torch.Generator().manual_seed(batch))


@cache
def variant(name: str, precision: str, engine: str = "eager") -> Variant:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plain = Variant(MODELS[name]().eval().requires_grad_(False))
    if precision == "fp32":
        return plain
    return Quantize(scheme="int8-dynamic").apply(
        plain, Context(Data(tokens(64), None), saturates=engines.find(engine).saturates())
    )


def runner(engine: str, name: str, precision: str) -> Runner:
    if reason := engines.find(engine).unavailable() or engines.find(engine).why_not(precision, "cpu"):
        pytest.skip(reason)
    return engines.find(engine).prepare(variant(name, precision, engine), tokens(4), threads=1)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_runner_gives_what_its_variant_says_for_any_batch(engine, name, precision):
    asked, made = variant(name, precision, engine), runner(engine, name, precision)
    says = asked.graph if asked.graph is not None else asked.module
    layers = TOKENS + 2 if name == "recurrent" else 4  # each step is one: its state is rounded anew
    for batch in (4, 1, 7):
        expected = says(tokens(batch))
        assert (made(tokens(batch)) - expected).abs().max().item() <= tolerance(precision, expected, layers)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["causal", "masked by hand"])
def test_later_tokens_change_nothing_before_them(engine, name):
    made, ids = runner(engine, name, "fp32"), tokens(4)
    changed = ids.clone()
    changed[:, 7:] = (ids[:, 7:] + 1) % WORDS
    before, after = made(ids), made(changed)
    # Not exactly equal: a product over all tokens may add up what is masked out, which is zero, in another order.
    assert (before[:, :7] - after[:, :7]).abs().max().item() <= tolerance("fp32", before)
    assert not torch.allclose(before[:, 7:], after[:, 7:])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", MODELS)
def test_a_language_model_is_one_native_program(name, precision):
    made = runner("native", name, precision)
    assert isinstance(made, NativeRunner)
    assert not any("PyTorch" in kernel.name for kernel in made.kernels.values())


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("engine", ENGINES)
def test_the_receipt_has_a_kernel_for_each_linear_layer(engine, precision):
    asked = variant("causal", precision, engine)
    rows = receipt(variant("causal", "fp32").module, asked, runner(engine, "causal", precision), tokens(4))
    kernels = {row.layer: row.kernel for row in rows}
    assert all(kernels[layer] for layer in ("qkv", "out", "wide", "narrow", "head"))
