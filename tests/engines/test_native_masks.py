"""Masks that depend on the input hide scores in the native engine's attention, however they are written."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import workbench as wb
from tests.engines.models import tolerance
from workbench import engines
from workbench.engines.native.pieces import PiecewiseRunner
from workbench.engines.native.runner import NativeRunner
from workbench.variant import Variant

WORDS, TOKENS, WIDTH, HEADS, PAD = 40, 9, 24, 2, 0

if reason := engines.find("native").unavailable():
    pytest.skip(reason, allow_module_level=True)


class Masked(nn.Module):
    """A sentence encoder of one layer; a subclass says what a query sees of each key."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.norm = nn.Embedding(WORDS, WIDTH), nn.LayerNorm(WIDTH)
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.out, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 4)

    def split(self, x):
        return x.view(x.shape[0], x.shape[1], HEADS, -1).transpose(1, 2)

    def forward(self, ids):
        x = self.words(ids)
        parts = (self.split(layer(x)) for layer in (self.query, self.key, self.value))
        mixed = self.attend(*parts, (ids != PAD)[:, None, None, :])
        return self.head(self.norm(x + self.out(mixed.transpose(1, 2).flatten(2)))[:, 0])

    def scores(self, query, key):
        return query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])


class Shown(Masked):
    def attend(self, query, key, value, seen):
        return F.scaled_dot_product_attention(query, key, value, seen)


class Added(Masked):
    def attend(self, query, key, value, seen):
        hidden = torch.zeros_like(seen, dtype=query.dtype).masked_fill(~seen, torch.finfo(query.dtype).min)
        return F.scaled_dot_product_attention(query, key, value, hidden)


class AddedByHand(Masked):
    def attend(self, query, key, value, seen):
        hidden = (1.0 - seen.to(query.dtype)) * -10000.0
        return torch.softmax(self.scores(query, key) + hidden, -1) @ value


class Filled(Masked):
    def attend(self, query, key, value, seen):
        return torch.softmax(self.scores(query, key).masked_fill(~seen, float("-inf")), -1) @ value


class FilledWithMuch(Masked):
    def attend(self, query, key, value, seen):
        return torch.softmax(self.scores(query, key).masked_fill(~seen, -1e9), -1) @ value


class Chosen(Masked):
    def attend(self, query, key, value, seen):
        return torch.softmax(torch.where(seen, self.scores(query, key), -1e9), -1) @ value


class ChosenOrNothing(Masked):
    def attend(self, query, key, value, seen):
        return torch.softmax(torch.where(seen, self.scores(query, key), float("-inf")), -1) @ value


class EarlierAndShown(Masked):
    """A query sees what comes before it and is no padding: a mask with a row for each query."""

    def attend(self, query, key, value, seen):
        earlier = torch.ones(TOKENS, TOKENS, dtype=torch.bool).tril()
        return F.scaled_dot_product_attention(query, key, value, seen & earlier)


class FarLessByHead(Masked):
    """Each head adds its own slope times a key's distance from the first token that is shown."""

    def attend(self, query, key, value, seen):
        slopes = torch.tensor([0.5, 0.125]).view(1, HEADS, 1, 1)
        return F.scaled_dot_product_attention(query, key, value, -slopes * (~seen).cumsum(-1))


WAYS = [Shown, Added, AddedByHand, Filled, FilledWithMuch, Chosen, ChosenOrNothing, EarlierAndShown, FarLessByHead]


class TorchEncoder(nn.Module):
    """torch's own layers, two of them, told which tokens are padding."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, batch_first=True, norm_first=True)
        self.words, self.head = nn.Embedding(WORDS, WIDTH), nn.Linear(WIDTH, 4)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, ids):
        return self.head(self.encoder(self.words(ids), src_key_padding_mask=ids == PAD)[:, 0])


class Pooled(Shown):
    """Told by an input of its own which tokens are shown, also to the mean over them at the end."""

    def forward(self, ids, mask):
        x = self.words(ids)
        parts = (self.split(layer(x)) for layer in (self.query, self.key, self.value))
        mixed = self.attend(*parts, mask[:, None, None, :].bool())
        x = self.norm(x + self.out(mixed.transpose(1, 2).flatten(2)))
        shown = mask.unsqueeze(-1).float()
        return self.head((x * shown).sum(1) / shown.sum(1).clamp(min=1e-9))


def sentences(batch: int, seed: int = 0) -> torch.Tensor:
    """Ids [batch, tokens] that end in padding; in every fourth no token is left but the first."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, WORDS, (batch, TOKENS), generator=generator)
    lengths = torch.randint(1, TOKENS + 1, (batch, 1), generator=generator)
    lengths[::4] = 1
    return ids.masked_fill(torch.arange(TOKENS) >= lengths, PAD)


def prepared(module: nn.Module, precision: str = "fp32"):
    return engines.find("native").prepare(Variant(module, precision), (sentences(4),), threads=1)


@pytest.fixture
def made(request):
    torch.manual_seed(0)
    return request.param().eval().requires_grad_(False)


@pytest.mark.parametrize("made", [*WAYS, TorchEncoder], indirect=True)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_padding_is_hidden_and_all_layers_are_native(made, precision):
    if reason := engines.find("native").why_not(precision, "cpu"):
        pytest.skip(reason)
    runner = prepared(made, precision)
    assert isinstance(runner, PiecewiseRunner)
    assert not [layer for layer, kernel in runner.kernels.items() if "PyTorch" in kernel.name]
    for batch in (4, 1, 7):
        ids = sentences(batch, seed=batch)
        expected = made(ids)
        assert (runner(ids) - expected).abs().max().item() <= tolerance(precision, expected)


@pytest.mark.parametrize("made", [Shown, Added, FilledWithMuch], indirect=True)
def test_a_sentence_of_padding_alone_is_what_torch_makes_of_it(made):
    ids = sentences(3)
    ids[1] = PAD
    assert (prepared(made)(ids) - made(ids)).abs().max().item() <= tolerance("fp32", made(ids))


@pytest.mark.parametrize("made", [Pooled], indirect=True)
def test_a_mask_that_is_an_input_leaves_all_layers_native(made):
    def inputs(batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        ids = sentences(batch, seed=batch)
        return ids, (ids != PAD).long()

    runner = engines.find("native").prepare(Variant(made, "fp32"), inputs(4), threads=1)
    assert not [layer for layer, kernel in runner.kernels.items() if "PyTorch" in kernel.name]
    for batch in (4, 1, 7):
        expected = made(*inputs(batch))
        assert (runner(*inputs(batch)) - expected).abs().max().item() <= tolerance("fp32", expected)


class Sloped(Masked):
    """Each head adds its own slope times the distance of query and key, as ALiBi does (Press et al. 2021)."""

    def forward(self, ids):
        x = self.words(ids)
        parts = (self.split(layer(x)) for layer in (self.query, self.key, self.value))
        places = torch.arange(TOKENS)
        slopes = torch.tensor([0.5, 0.25]).view(HEADS, 1, 1)
        mixed = self.attend(*parts, -slopes * (places[:, None] - places).abs())
        return self.head(self.norm(x + self.out(mixed.transpose(1, 2).flatten(2)))[:, 0])

    def attend(self, query, key, value, bias):
        return F.scaled_dot_product_attention(query, key, value, bias)


class SlopedByHand(Sloped):
    def attend(self, query, key, value, bias):
        return torch.softmax(self.scores(query, key) + bias.to(query.dtype), -1) @ value


class InWindows(Sloped):
    """A query sees its neighbours alone."""

    def attend(self, query, key, value, bias):
        return F.scaled_dot_product_attention(query, key, value, bias[0] > -1)


class InWindowsByHand(Sloped):
    def attend(self, query, key, value, bias):
        return torch.softmax(self.scores(query, key).masked_fill(bias[0] < -1, float("-inf")), -1) @ value


@pytest.mark.parametrize("made", [Sloped, SlopedByHand, InWindows, InWindowsByHand], indirect=True)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_constants_are_added_to_scores_in_one_program(made, precision, tmp_path):
    if reason := engines.find("native").why_not(precision, "cpu"):
        pytest.skip(reason)
    runner, ids = prepared(made, precision), sentences(5)
    assert isinstance(runner, NativeRunner)
    assert (runner(ids) - made(ids)).abs().max().item() <= tolerance(precision, made(ids))
    runner.save(tmp_path)
    assert torch.equal(wb.load_program(tmp_path / "native.safetensors", threads=1)(ids), runner(ids))


class FromWeights(Masked):
    """What a layer makes of the input is added to scores: the same program computes it."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Linear(WIDTH, HEADS)

    def attend(self, query, key, value, bias):
        return F.scaled_dot_product_attention(query, key, value, bias)

    def forward(self, ids):
        x = self.words(ids)
        bias = self.places(x).transpose(1, 2).unsqueeze(2)
        query, key, value = (self.split(layer(x)) for layer in (self.query, self.key, self.value))
        mixed = self.attend(query, key, value, bias)
        return self.head(self.norm(x + self.out(mixed.transpose(1, 2).flatten(2)))[:, 0])


class FromWeightsByHand(FromWeights):
    def attend(self, query, key, value, bias):
        return torch.softmax(bias + self.scores(query, key), -1) @ value


@pytest.mark.parametrize("made", [FromWeights, FromWeightsByHand], indirect=True)
def test_a_bias_that_layers_compute_is_added_in_one_program(made):
    runner, ids = prepared(made), sentences(5)
    assert isinstance(runner, NativeRunner)
    assert (runner(ids) - made(ids)).abs().max().item() <= tolerance("fp32", made(ids))
