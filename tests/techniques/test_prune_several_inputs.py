"""Channels of models that take several inputs, embed words, or mix kinds of layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from workbench.models import load
from workbench.techniques import Context
from workbench.techniques.prune import Prune
from workbench.variant import Variant
from workbench.workload import Workload

N = 24
GENERATOR = torch.Generator().manual_seed(0)
WORDS = torch.randint(1, 30, (N, 7), generator=GENERATOR)
LEFT, RIGHT = torch.randn(N, 6, generator=GENERATOR), torch.randn(N, 6, generator=GENERATOR)
CLASSES = torch.arange(N) % 3


def mlp(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, outputs))


class TwoTowers(nn.Module):
    """Users and things in one space: how near they are."""

    def __init__(self) -> None:
        super().__init__()
        self.user, self.thing = mlp(6, 16), mlp(6, 16)

    def forward(self, user, thing):
        return (self.user(user) * self.thing(thing)).sum(1, keepdim=True)


class Siamese(nn.Module):
    """One encoder for both of two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.head = mlp(6, 16), nn.Linear(16, 3)

    def forward(self, left, right):
        return self.head((self.encoder(left) - self.encoder(right)).abs())


class WordsThroughAnLSTM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.embed = nn.Embedding(30, 16), nn.Linear(16, 32)
        self.rows, self.head = nn.LSTM(32, 16, batch_first=True), mlp(16, 3)

    def forward(self, words):
        return self.head(self.rows(torch.relu(self.embed(self.words(words))))[0][:, -1])


class WordsThroughATransformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(30, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 64, batch_first=True, dropout=0.0)
        self.encoder, self.head = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(16, 3)

    def forward(self, words, mask):
        return self.head(self.encoder(self.words(words), src_key_padding_mask=~mask)[:, 0])


class OnlyRecurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rows, self.head = nn.GRU(6, 16, batch_first=True, bidirectional=True), nn.Linear(32, 3)

    def forward(self, rows):
        return self.head(self.rows(rows[:, None])[0][:, -1])


NARROWED = {
    "two towers": (TwoTowers, ((LEFT, RIGHT), LEFT.sum(1)), {"user.0": 16, "thing.0": 16}),
    "one encoder for two inputs": (Siamese, ((LEFT, RIGHT), CLASSES), {"encoder.0": 16, "encoder.2": 8}),
    "an LSTM on words": (WordsThroughAnLSTM, (WORDS, CLASSES), {"embed": 16, "head.0": 16}),
    "a transformer on words and a mask": (
        WordsThroughATransformer,
        ((WORDS, WORDS > 3), CLASSES),
        {"encoder.layers.0.linear1": 32, "encoder.layers.1.linear1": 32},
    ),
}


@pytest.mark.parametrize("name", NARROWED)
def test_layers_beside_what_keeps_its_channels_lose_half(name):
    kind, data, expected = NARROWED[name]
    torch.manual_seed(0)
    loaded = load(Workload(kind().eval(), data))
    variant = Prune(finetune_epochs=0).apply(Variant(loaded.module), Context(train=loaded.train))
    assert {layer: variant.module.get_submodule(layer).out_features for layer in expected} == expected
    assert not any("\n" in reason for reason in variant.unchanged.values())
    for count in (1, 5):
        assert variant.module(*loaded.test.at(slice(count)).inputs).shape[0] == count


def test_an_encoder_of_pairs_is_narrowed_as_one():
    pairs = load(Workload(mlp(6, 16), ((LEFT, RIGHT), torch.rand(N)), call="pairs", metric="spearman"))
    variant = Prune(finetune_epochs=0).apply(Variant(pairs.module), Context(train=pairs.train))
    assert variant.module[0].out_features == 16
    assert variant.module(LEFT, RIGHT).shape == (N, 2, 16)


def test_an_encoder_of_pairs_learns_from_their_similarities():
    torch.manual_seed(0)
    left, right = torch.randn(1280, 6), torch.randn(1280, 6)
    alike = torch.cosine_similarity(left, right)
    pairs = load(Workload(mlp(6, 16), ((left, right), 5 * alike), call="pairs"))
    assert (pairs.task.metric.name, pairs.task.loss.name) == ("spearman", "correlation")
    narrowed, tuned = (
        Prune(finetune_epochs=epochs).apply(Variant(pairs.module), Context.of(pairs)).module for epochs in (0, 5)
    )
    metric, train = pairs.task.metric, pairs.train
    with torch.no_grad():
        before, after = (
            metric.value(metric.terms(module(*train.inputs), train.targets).numpy()) for module in (narrowed, tuned)
        )
    assert after > before + 0.01


def test_a_model_whose_only_layers_read_both_ways_or_are_its_last_says_why_not():
    reason = Prune().blocked(OnlyRecurrent())
    assert reason == (
        "pruning channels needs a layer before the last that doesn't read in both directions: recurrent ones that do "
        "keep their units"
    )
