"""Weights that several layers share compute right, and count once: in figures, in variants and in files."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import nn

from tests.engines.models import tolerance
from workbench import engines
from workbench.engines import Runner
from workbench.engines._program import executed
from workbench.measure.memory import stored_bytes
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Data

WORDS, TOKENS, WIDTH = 4000, 6, 64
CASES = [(engine, "fp32") for engine in ("eager", "native", "onnxruntime")]
CASES += [(engine, "int8-weights") for engine in ("eager", "native")]
CASES += [(engine, "int8-static") for engine in ("eager", "native", "onnxruntime")]


class TiedLanguageModel(nn.Module):
    """Its embedding is the weight of its head."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.mix, self.norm = nn.Embedding(WORDS, WIDTH), nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, WORDS, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, tokens):
        words = self.tokens(tokens)
        return self.head(self.norm(words + self.mix(words).relu()))


class UsedTwice(nn.Module):
    """One linear layer, called two times."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.shared, self.head = nn.Linear(TOKENS, 400), nn.Linear(400, 400), nn.Linear(400, 5)

    def forward(self, rows):
        return self.head(self.shared(self.shared(self.embed(rows)).relu()).relu())


def token_numbers(batch: int) -> torch.Tensor:
    return torch.randint(WORDS, (batch, TOKENS), generator=torch.Generator().manual_seed(batch))


def numbers(batch: int) -> torch.Tensor:
    return torch.randn(batch, TOKENS, generator=torch.Generator().manual_seed(batch))


MODELS = {"a tied embedding": (TiedLanguageModel, token_numbers), "a layer used twice": (UsedTwice, numbers)}


@cache
def variant(name: str, precision: str, saturates: bool = False) -> Variant:
    make, inputs = MODELS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plain = Variant(make().eval().requires_grad_(False))
    if precision == "fp32":
        return plain
    context = Context(train=Data(inputs(32)), saturates=saturates)
    return Quantize(scheme=precision, calibration_samples=16).apply(plain, context)


def prepared(name: str, engine: str, precision: str) -> tuple[Variant, Runner]:
    found = engines.find(engine)
    if reason := found.why_not(precision, "cpu"):
        pytest.skip(reason)
    made = variant(name, precision, found.saturates())
    return made, found.prepare(made, MODELS[name][1](4), threads=1)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("engine", "precision"), CASES)
def test_layers_that_share_a_weight_give_what_the_variant_says(name, engine, precision):
    inputs = MODELS[name][1](5)
    made, runner = prepared(name, engine, precision)
    expected = executed(made)(inputs)
    assert (runner(inputs) - expected).abs().max().item() <= tolerance(precision, expected)


def kept_bytes(name: str, precision: str) -> int:
    """What the model's numbers take, each once; scales and zero points (12 bytes a row) included."""
    if name == "a tied embedding":
        table, mix, norm = WORDS * WIDTH, WIDTH * WIDTH, 2 * WIDTH
        others = 4 * (WIDTH + norm)
        if precision == "fp32":
            return 4 * (table + mix) + others
        return 4 * table + (table + mix) + 12 * (WORDS + WIDTH) + others  # looked up in float32, multiplied in int8
    weights, rows = TOKENS * 400 + 400 * 400 + 5 * 400, 400 + 400 + 5
    return 4 * (weights + rows) if precision == "fp32" else weights + 12 * rows + 4 * rows


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("precision", ["fp32", "int8-weights", "int8-static"])
def test_a_shared_weight_counts_once_in_each_form_it_is_kept_in(name, precision):
    # Names, shapes and offsets of at most 40 tensors, 100 bytes each; weights alone have no zero points.
    assert (
        kept_bytes(name, precision) * 0.95 < stored_bytes(variant(name, precision)) < kept_bytes(name, precision) + 4000
    )


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("engine", "precision"), CASES)
def test_what_is_saved_holds_a_shared_weight_once(name, engine, precision, tmp_path):
    made, runner = prepared(name, engine, precision)
    for path in runner.save(tmp_path):
        # The least that a second copy of the shared weight, in int8, would add; the graph itself takes less.
        spare = (WORDS * WIDTH if name == "a tied embedding" else 400 * 400) * 0.9
        assert path.stat().st_size < stored_bytes(made) + spare, path.name
