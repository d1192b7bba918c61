"""A language model of two novels, byte by byte."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from workbench.datasets import austen, data_card
from workbench.models import _digest
from workbench.models.zoo._base import Embedded, Plan, Source
from workbench.tasks import Counted
from workbench.workload import Data

CONTEXT = 128
"""Bytes that the model sees at most."""
TOKENS = 256
HELD_OUT = 0.1
"""The share of each novel, its end, that isn't learnt from."""
TEST_WINDOWS = 250
"""Of each novel, the first of that share: what a run measures on without a long wait."""
KEPT_EVERY = 6
"""Of the windows that the weights learnt from, each so many-th is there to learn from in a run."""


class Bytes:
    """128 bytes of a novel in a row, int64 [N, 128], and the byte that follows each, int64 [N, 128].

    Windows don't overlap. Measured on 250 of the last tenth of each novel, learnt from every sixth before it.
    """

    title = "two novels by Jane Austen"

    def read(self) -> tuple[Data, Data]:
        parts = [_split(text) for text in austen.novels().values()]
        test = _joined([held_out.at(slice(TEST_WINDOWS)) for _, held_out in parts])
        return test, _joined([learnt.at(slice(None, None, KEPT_EVERY)) for learnt, _ in parts])

    def digest(self) -> str:
        return _digest.combine(
            *(file.sha256 for file in data_card("austen").files), str((CONTEXT, HELD_OUT, TEST_WINDOWS, KEPT_EVERY))
        )


@dataclass(frozen=True)
class NovelsPlan(Plan):
    """Learns from all windows, of which a run is given a part."""

    def examples(self, source: Source, originals: Path | None) -> tuple[Data, str]:
        return _all_learnt(), source.title


class Layer(nn.Module):
    """Causal self-attention and two linear layers, each after a normalisation and beside a shortcut."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        normal = self.norm1(tokens)
        query, key, value = (
            each(normal).unflatten(-1, (self.heads, -1)).transpose(1, 2) for each in (self.query, self.key, self.value)
        )
        attended = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        tokens = tokens + self.out(attended.transpose(1, 2).flatten(2))
        return tokens + self.fc2(functional.gelu(self.fc1(self.norm2(tokens))))


class TinyTextLM(nn.Module):
    """A transformer of two layers, 192 wide, that tells the next byte of English prose from up to 128 before it.

    Source: Radford et al., "Language Models are Unsupervised Multitask Learners" (GPT-2), 2019, whose layers it has.
    """

    def __init__(self, width: int = 192, heads: int = 6, layers: int = 2) -> None:
        super().__init__()
        self.tokens = nn.Embedding(TOKENS, width)
        self.places = nn.Parameter(torch.zeros(CONTEXT, width))
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, TOKENS)
        nn.init.normal_(self.tokens.weight, std=0.02)
        nn.init.normal_(self.places, std=0.02)

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        tokens = self.tokens(text) + self.places[: text.shape[1]]
        for layer in self.layers:
            tokens = layer(tokens)
        return self.head(self.norm(tokens))


def naive(test: Data, train: Data) -> dict[str, torch.Tensor]:
    """The logarithm of how often each byte followed this one in what is learnt from, one more for all."""
    learnt = _all_learnt()  # as the weights did, not the part that a run is given
    (text,), (known,) = test.inputs, learnt.inputs
    pairs = torch.bincount((known * TOKENS + learnt.targets).flatten(), minlength=TOKENS**2)
    counts = pairs.view(TOKENS, TOKENS).float() + 1
    return {"what follows the last byte": (counts / counts.sum(1, keepdim=True)).log()[text]}


def decoded(tokens: torch.Tensor) -> str:
    """The text of bytes, int64 [T]; what is no whole character of UTF-8 becomes "�"."""
    return bytes(tokens.tolist()).decode("utf-8", errors="replace")


def _all_learnt() -> Data:
    return _joined([_split(text)[0] for text in austen.novels().values()])


def _split(text: bytes) -> tuple[Data, Data]:
    """The windows of a novel that are learnt from and those held out."""
    held_out = round(len(text) * (1 - HELD_OUT))
    return _windows(text[:held_out]), _windows(text[held_out:])


def _windows(text: bytes) -> Data:
    values = torch.frombuffer(bytearray(text), dtype=torch.uint8).long()
    count = (len(values) - 1) // CONTEXT
    inputs, targets = (values[shift : shift + count * CONTEXT].view(count, CONTEXT) for shift in (0, 1))
    return Data(inputs, targets)


def _joined(parts: list[Data]) -> Data:
    inputs, targets = (torch.cat(each) for each in zip(*(part.tensors() for part in parts), strict=True))
    return Data(inputs, targets)


TINYTEXT_LM = Embedded(
    name="tinytext-lm",
    architecture=TinyTextLM,
    source=Bytes(),
    plan=NovelsPlan(epochs=3, peak_learning_rate=2e-3, weight_decay=0.05, batch=8, bf16=True),
    metric="perplexity",
    loss="token-cross-entropy",
    counted=Counted("tokens", CONTEXT),
    naive=naive,
    decode=decoded,
)
