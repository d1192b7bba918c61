"""Models of other inputs than one tensor of floats, with examples of these."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import nn

from workbench.graph import export
from workbench.techniques.quantize import pt2e
from workbench.techniques.quantize.reduced import Bits
from workbench.techniques.quantize.rewrite import rewritten
from workbench.variant import Variant
from workbench.workload import Inputs

WORDS, TOKENS, WIDTH, KINDS = 50, 6, 16, 5


class TwoTables(nn.Module):
    """Rows of two kinds, each through a layer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(12, WIDTH), nn.Linear(20, WIDTH)
        self.hidden, self.head = nn.Linear(2 * WIDTH, 32), nn.Linear(32, 4)

    def forward(self, a, b):
        both = torch.cat([torch.relu(self.left(a)), torch.relu(self.right(b))], 1)
        return self.head(torch.relu(self.hidden(both)))


class Words(nn.Module):
    """The mean of token embeddings, classified."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.hidden, self.head = nn.Embedding(WORDS, WIDTH), nn.Linear(WIDTH, 32), nn.Linear(32, 4)

    def forward(self, ids):
        return self.head(torch.relu(self.hidden(self.words(ids).mean(1))))


class MaskedWords(Words):
    """The mean of those tokens that a mask lets through."""

    def forward(self, ids, mask):
        shown = mask.to(torch.float32).unsqueeze(-1)
        mean = (self.words(ids) * shown).sum(1) / shown.sum(1).clamp(min=1)
        return self.head(torch.relu(self.hidden(mean)))


class MaskedEncoder(nn.Module):
    """Attention that leaves padding out, in a layer as torch has it."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.encoder = nn.TransformerEncoderLayer(WIDTH, 2, 4 * WIDTH, batch_first=True)
        self.head = nn.Linear(WIDTH, 4)

    def forward(self, ids, mask):
        return self.head(self.encoder(self.words(ids), src_key_padding_mask=~mask)[:, 0])


class ImageOfAKind(nn.Module):
    """A small convolutional network on an image, which also knows what kind of image it is."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3)
        self.kinds, self.head = nn.Embedding(KINDS, 4), nn.Linear(8 * 9 + 4, 4)

    def forward(self, image, kind):
        inner = torch.max_pool2d(torch.relu_(self.first(image)), 2)
        inner = torch.max_pool2d(torch.relu_(self.second(inner)), 1)
        return self.head(torch.cat([inner[:, :, :3, :3].flatten(1), self.kinds(kind)], 1))


class Pixels(nn.Module):
    """An image of bytes, brought to the range of 0 to 1 by the model itself."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8 * 64, 4)

    def forward(self, pixels):
        return self.head(torch.relu(self.conv(pixels.float() / 255)).flatten(1))


def _mask(batch: int, generator: torch.Generator) -> torch.Tensor:
    return torch.arange(TOKENS) < torch.randint(1, TOKENS + 1, (batch, 1), generator=generator)


def _ids(batch: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randint(0, WORDS, (batch, TOKENS), generator=generator)


MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[int, torch.Generator], Inputs]]] = {
    "two tables": (TwoTables, lambda n, g: (torch.randn(n, 12, generator=g), torch.randn(n, 20, generator=g))),
    "tokens": (Words, lambda n, g: (_ids(n, g),)),
    "tokens of 32 bits": (Words, lambda n, g: (_ids(n, g).int(),)),
    "tokens and a mask": (MaskedWords, lambda n, g: (_ids(n, g), _mask(n, g))),
    "tokens and a mask of integers": (MaskedWords, lambda n, g: (_ids(n, g), _mask(n, g).long())),
    "tokens and a mask in an attention": (MaskedEncoder, lambda n, g: (_ids(n, g), _mask(n, g))),
    "an image and its kind": (
        ImageOfAKind,
        lambda n, g: (torch.rand(n, 3, 10, 10, generator=g), torch.randint(0, KINDS, (n,), generator=g)),
    ),
    "bytes": (Pixels, lambda n, g: (torch.randint(0, 256, (n, 3, 10, 10), generator=g, dtype=torch.uint8),)),
}


def examples(name: str, batch: int, seed: int = 0) -> Inputs:
    return MODELS[name][1](batch, torch.Generator().manual_seed(seed))


@cache
def variant(name: str, precision: str) -> Variant:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = MODELS[name][0]().eval().requires_grad_(False)
    if not precision.startswith("int8"):
        return Variant(module, precision)
    graph = pt2e.quantized(
        rewritten(export(module, examples(name, 8)), fold=True),
        pt2e.dynamic_config(Bits(7)) if precision == "int8-dynamic" else pt2e.static_config("range", Bits(7)),
        convolutions=precision == "int8-static",
        takes=lambda _: True,
        calibrate=lambda observed: observed(*examples(name, 64)),
    )
    return Variant(module, precision, graph)
