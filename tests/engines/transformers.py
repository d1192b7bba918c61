"""Small transformers, written in the ways people write them: what their export looks like differs in each."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class Encoder(nn.Module):
    """torch's own layers, which export with the tokens before the batch."""

    def __init__(self, layers: int = 2, width: int = 48, heads: int = 3, hidden: int = 80) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(width, heads, hidden, 0.0, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        return self.head(self.encoder(x).mean(1))


class Block(nn.Module):
    """Norms before, one linear layer for queries, keys and values."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.wide, self.narrow = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        parts = self.qkv(self.norm1(x)).reshape(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(batch, tokens, width)
        x = x + self.out(mixed)
        return x + self.narrow(F.gelu(self.wide(self.norm2(x))))


class Sentences(nn.Module):
    """Token ids in; a vector for the whole sentence out."""

    def __init__(self, words: int = 100, tokens: int = 11, width: int = 32) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.places = nn.Parameter(torch.randn(1, tokens, width))
        self.blocks = nn.Sequential(Block(width, 4, 64), Block(width, 2, 40))
        self.norm = nn.LayerNorm(width)

    def forward(self, ids):
        return F.normalize(self.norm(self.blocks(self.words(ids.long()) + self.places)).mean(1), dim=1)


class ByHand(nn.Module):
    """Attention written out: two products with a softmax between, and the first token's features at the end."""

    def __init__(self, width: int = 40, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out, self.norm, self.head = nn.Linear(width, width), nn.LayerNorm(width), nn.Linear(width, 5)

    def split(self, x):
        return x.view(x.shape[0], x.shape[1], self.heads, -1).permute(0, 2, 1, 3)

    def forward(self, x):
        query, key, value = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        shares = torch.softmax(query @ key.transpose(-1, -2) / key.shape[-1] ** 0.5, -1)
        mixed = (shares @ value).permute(0, 2, 1, 3).contiguous().view(x.shape)
        return self.head(self.norm(x * 0.5 + self.out(mixed) + 1)[:, 0])
