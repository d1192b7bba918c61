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


class Causal(nn.Module):
    """Each token sees those before it; the feed-forward part is gated; the result has its tokens last."""

    def __init__(self, width: int = 32, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.gated, self.narrow = nn.Linear(width, 96), nn.Linear(48, width)

    def forward(self, x):
        parts = self.qkv(x).unflatten(2, (3, self.heads, -1)).unbind(2)
        query, key, value = (part.transpose(1, 2) for part in parts)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2).flatten(2)
        x = x + self.out(mixed)
        values, gates = self.gated(x).chunk(2, -1)
        return (1 - self.narrow(values * torch.sigmoid(gates))).transpose(1, 2)


class ConvNext(nn.Module):
    """Depthwise convolution, then linear layers over the channels of an image turned to have them last."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 2, 2)
        self.across = nn.Conv2d(width, width, 5, padding=2, groups=width)
        self.norm, self.wide, self.narrow = nn.LayerNorm(width), nn.Linear(width, 64), nn.Linear(64, width)
        self.gain = nn.Parameter(torch.rand(width))
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        x = self.patches(x)
        inner = F.gelu(self.wide(self.norm(self.across(x).permute(0, 2, 3, 1))))
        return self.head((x + (self.gain * self.narrow(inner)).permute(0, 3, 1, 2)).mean((2, 3)))
