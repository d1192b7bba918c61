"""What people write in a forward, a line or two each, between linear layers."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

TOKENS, WIDTH = 5, 8
CHANNELS, SIDE = 4, 9
WORDS = 20


def _declared(name: str, compute: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    """An operator of its own, named like one that a reader knows or one of the reader's methods."""
    operator = torch.library.custom_op(f"native_contract::{name}", mutates_args=())(compute)
    operator.register_fake(torch.empty_like)
    return operator


def _negated(x: torch.Tensor) -> torch.Tensor:
    return -x


NAMES = ("relu", "clone", "dropout", "gate", "pool", "flattened")
OWN = {name: _declared(name, _negated) for name in NAMES}


@torch.library.custom_op("native_contract::add", mutates_args=())
def own_add(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a - b


own_add.register_fake(lambda a, b: torch.empty_like(a))


@torch.library.custom_op("native_contract::linear", mutates_args=())
def own_linear(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return -(x @ weight.T)


own_linear.register_fake(lambda x, weight: x.new_empty(*x.shape[:-1], len(weight)))


class Around(nn.Module):
    """Linear layers around what is asked about, so that there is something to run native."""

    def __init__(self, inner: Callable[[Around, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.inner = inner
        self.first, self.last = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.table = nn.Embedding(TOKENS, WIDTH)
        self.places = nn.Parameter(torch.randn(1, TOKENS, WIDTH))
        self.row = nn.Buffer(torch.rand(WIDTH) + 0.5)
        self.one = nn.Buffer(torch.rand(1) + 0.5)
        self.visible = nn.Buffer(torch.tril(torch.ones(TOKENS, TOKENS, dtype=torch.bool)))
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
        self.numbers = nn.Buffer(torch.arange(WIDTH))
        self.square = nn.Parameter(torch.randn(TOKENS, TOKENS) / 2)

    def forward(self, x):
        return self.last(self.inner(self, self.first(x)))


class AroundImages(nn.Module):
    """A convolution before and a classifier after what is asked about."""

    def __init__(self, inner: Callable[[AroundImages, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.inner = inner
        self.first, self.second, self.last = nn.Conv2d(3, CHANNELS, 3), nn.Conv2d(4, 4, 1), nn.LazyLinear(5)
        self.kernel = nn.Parameter(torch.randn(CHANNELS, CHANNELS, 3, 3) / 6)
        self.even = nn.Parameter(torch.randn(CHANNELS, CHANNELS, 2, 2) / 4)
        self.row = nn.Buffer(torch.rand(CHANNELS) + 0.5)
        self.pixels = nn.Buffer(torch.randn(SIDE - 2, SIDE - 2))

    def forward(self, x):
        return self.last(self.inner(self, self.first(x)).flatten(1))


class AroundIds(nn.Module):
    """Looks up what is asked about, which is given token ids as floats, and classifies it."""

    def __init__(self, inner: Callable[[AroundIds, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.inner = inner
        self.words, self.bounded = nn.Embedding(WORDS, WIDTH, padding_idx=0), nn.Embedding(WORDS, WIDTH, max_norm=0.1)
        self.mix, self.last = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 5)

    def forward(self, ids):
        return self.last(self.mix(self.inner(self, ids)))


def _heads(x: torch.Tensor) -> torch.Tensor:
    return x.unflatten(-1, (2, -1)).transpose(1, 2)


def _attended(x: torch.Tensor, mask: torch.Tensor | None = None, **settings) -> torch.Tensor:
    query, key = _heads(x), _heads(x * 0.5)
    return F.scaled_dot_product_attention(query, key, query, mask, **settings).transpose(1, 2).flatten(2)


def _attended_by_hand(x: torch.Tensor, masked: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    query, key = _heads(x), _heads(x * 0.5)
    return (masked(query @ key.transpose(-1, -2)).softmax(-1) @ query).transpose(1, 2).flatten(2)


def _changed_through_a_view(x: torch.Tensor) -> torch.Tensor:
    x = x + 1
    x.flatten(1).mul_(2)
    return x.sigmoid()


def _seen_before_a_change(x: torch.Tensor) -> torch.Tensor:
    x = x + 1
    turned = x.transpose(1, 2)
    x.add_(1)
    return x + turned.transpose(1, 2)


def _kept_under_the_old_name(x: torch.Tensor) -> torch.Tensor:
    x = x + 1
    F.relu(x, inplace=True)
    x += 1
    return x * x


def _first_column_set(x: torch.Tensor) -> torch.Tensor:
    x = x + 1
    x[:, :, 0] = 0.25
    return x


def _without_gradients(x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return x.relu()


FORWARDS: dict[str, Callable[[Around, torch.Tensor], torch.Tensor]] = {
    **{f"own {name}": lambda m, x, own=own: own(x) for name, own in OWN.items()},
    "own add": lambda m, x: own_add(x, x * 0.5),
    "own linear": lambda m, x: own_linear(x, m.last.weight),
    "own operator on a constant": lambda m, x: x + OWN["relu"](m.row),
    "positions": lambda m, x: x + m.places,
    "positions without a batch": lambda m, x: x + m.places[0],
    "positions first": lambda m, x: m.places + x,
    "positions times": lambda m, x: x * m.places,
    "a computed gain": lambda m, x: m.row.exp() * x,
    "a sum of constants": lambda m, x: x * (m.row + m.places),
    "a number made there": lambda m, x: x * torch.tensor(2.0),
    "a row made there": lambda m, x: x + torch.tensor([float(place) for place in range(WIDTH)]),
    "a choice of a number made there": lambda m, x: torch.where(x > 0, x, torch.tensor(-1.0)),
    "a single number": lambda m, x: x * m.one - m.one,
    "whole numbers": lambda m, x: x + m.numbers,
    "doubles": lambda m, x: (x + m.row.double()).float(),
    "arange": lambda m, x: x * torch.arange(1, WIDTH + 1),
    "arange of the batch": lambda m, x: x + torch.arange(x.shape[0]).view(-1, 1, 1),
    "divided by the batch": lambda m, x: x / x.shape[0],
    "the batch as a constant's number": lambda m, x: x + m.row * x.shape[0],
    "as many columns as the batch": lambda m, x: x[:, :, : x.shape[0] * WIDTH],
    "token types": lambda m, x: x + m.table(torch.zeros(x.shape[0], TOKENS, dtype=torch.long)),
    "new token types": lambda m, x: x + m.table(x.new_zeros(x.shape[0], TOKENS).long()),
    "expanded positions": lambda m, x: x + m.places.expand(x.shape[0], -1, -1),
    "repeated positions": lambda m, x: x + m.places.repeat(x.shape[0], 1, 1),
    "summed over the batch": lambda m, x: x + torch.ones(x.shape[0], WIDTH).sum(0),
    "numbered over the batch": lambda m, x: x + torch.ones(x.shape[0], TOKENS, WIDTH).cumsum(0),
    "ones like it": lambda m, x: x + torch.ones_like(x),
    "numbered over tokens": lambda m, x: x + torch.ones(x.shape[0], TOKENS, WIDTH).cumsum(1),
    "the rows of each": lambda m, x: x + m.places.expand(x.shape[0], -1, -1)[torch.arange(x.shape[0])],
    "the rows of another": lambda m, x: x + m.places.expand(x.shape[0], -1, -1)[torch.arange(x.shape[0]) // 2],
    "what nothing needs": lambda m, x: (x.cumsum(1), x.relu())[1],
    "a first token": lambda m, x: torch.cat([m.row.expand(x.shape[0], 1, -1), x], 1),
    "mean of examples": lambda m, x: x + x.mean(0, keepdim=True),
    "mean of all": lambda m, x: x + x.mean(),
    "dropout that is off": lambda m, x: F.dropout(x, 0.5, m.training),
    "relu in place": lambda m, x: F.relu(x, inplace=True),
    "kept under the old name": lambda m, x: _kept_under_the_old_name(x),
    "changed through a view": lambda m, x: _changed_through_a_view(x),
    "seen before a change": lambda m, x: _seen_before_a_change(x),
    "first column set": lambda m, x: _first_column_set(x),
    "floor division": lambda m, x: torch.div(x, 0.1, rounding_mode="floor"),
    "add with alpha": lambda m, x: torch.add(x, m.row, alpha=2) + torch.add(x, x, alpha=0.5),
    "sub with alpha": lambda m, x: torch.sub(x, 1.5, alpha=2) - torch.sub(m.row, x, alpha=3),
    "rsub with alpha": lambda m, x: torch.rsub(x, 1.5, alpha=2) + torch.rsub(x, m.row),
    "divided by nought": lambda m, x: torch.atan(x / 0),
    "clamped by tensors": lambda m, x: x.clamp(-m.row, m.row),
    "clamped from above": lambda m, x: x.clamp(max=0.25).clamp_(min=-0.25),
    "hardtanh": lambda m, x: F.hardtanh(x, -0.25, 0.5),
    "gelu by tanh": lambda m, x: F.gelu(x, approximate="tanh"),
    "softmax of doubles": lambda m, x: x.softmax(-1, dtype=torch.float64).float(),
    "softmax over tokens": lambda m, x: x.softmax(1),
    "norm without weights": lambda m, x: F.layer_norm(x, (WIDTH,)),
    "norm over two dimensions": lambda m, x: F.layer_norm(x, (TOKENS, WIDTH)),
    "linear with live weights": lambda m, x: F.linear(x, x[0].T @ x[0]),
    "attention": lambda m, x: _attended(x),
    "torch's attention with its weights": lambda m, x: m.attention(x, x * 0.5, x + 1)[0],
    "the weights of torch's attention": lambda m, x: x + m.attention(x, x, x)[1].sum(-1, keepdim=True),
    "products of another kind": lambda m, x: torch.bmm(torch.bmm(x, x.transpose(1, 2)), x),
    "masked": lambda m, x: _attended(x, m.visible),
    "causal": lambda m, x: _attended(x, is_causal=True),
    "scaled": lambda m, x: _attended(x, scale=0.25),
    "shared keys": lambda m, x: F.scaled_dot_product_attention(
        _heads(x), _heads(x)[:, :1], _heads(x)[:, :1], enable_gqa=True
    ).transpose(1, 2).flatten(2),
    "repeated": lambda m, x: x.repeat(1, 1, 2)[..., ::2],
    "expanded like another": lambda m, x: x[:, :1].expand_as(x) + x,
    "turned and reshaped": lambda m, x: x.transpose(1, 2).reshape(x.shape[0], TOKENS, WIDTH),
    "batch merged": lambda m, x: x.reshape(-1, WIDTH).relu().view(x.shape[0], -1, WIDTH),
    "size of a merged batch": lambda m, x: x.reshape(-1, 2).reshape(x.reshape(-1, 2).shape[0] // 2, 4).view(x.shape),
    "flattened in the middle": lambda m, x: x.unflatten(2, (2, 2, 2)).flatten(1, 2).flatten(1).view(x.shape),
    "split unevenly": lambda m, x: torch.cat(x.split([3, 5], -1)[::-1], -1),
    "every other token": lambda m, x: x[:, ::2].repeat(1, 3, 1),
    "each token twice": lambda m, x: x.repeat_interleave(2, 1)[:, :TOKENS],
    "tiled": lambda m, x: x.tile(2)[..., 3:-5],
    "across tokens": lambda m, x: F.linear(x.transpose(1, 2), m.square).transpose(1, 2),
    "across heads": lambda m, x: F.layer_norm(x.unflatten(2, (2, 4)).permute(0, 3, 1, 2), (2,)).reshape(x.shape),
    "times one token": lambda m, x: x * x[:, :1],
    "plus one feature": lambda m, x: x + x[..., :1],
    "filled": lambda m, x: x.masked_fill(m.row > 1, 0.25),
    "filled by rows": lambda m, x: torch.where(m.visible[0, :, None], x, -1.5) + torch.where(m.row > 1, m.row, x),
    "filled by the input": lambda m, x: x.masked_fill(x > 0, 0.25),
    "masked by hand": lambda m, x: _attended_by_hand(x, lambda scores: scores.masked_fill(~m.visible, -math.inf)),
    "masked by a sum": lambda m, x: _attended_by_hand(x, lambda scores: scores + m.visible.logical_not() * -1e30),
    "masked by a choice": lambda m, x: _attended_by_hand(x, lambda scores: torch.where(m.visible, scores, -1e9)),
    "a mask that hides nothing": lambda m, x: _attended_by_hand(x, lambda s: s.masked_fill(m.row[0] < 0, -1e9)),
    "scores with a bias": lambda m, x: _attended_by_hand(x, lambda scores: scores + m.square),
    "earlier tokens hidden": lambda m, x: _attended(x, m.visible.T),
    "keys turned": lambda m, x: F.scaled_dot_product_attention(
        _heads(x), _heads(x.transpose(1, 2).reshape(x.shape)), _heads(x)
    ).transpose(1, 2).flatten(2),
    "without gradients": lambda m, x: _without_gradients(x),
}  # fmt: skip


def _added_in_place(model: AroundImages, x: torch.Tensor) -> torch.Tensor:
    y = model.second(x)
    y += x
    return F.relu_(y)


ON_IMAGES: dict[str, Callable[[AroundImages, torch.Tensor], torch.Tensor]] = {
    "padded to the same size": lambda m, x: F.conv2d(x, m.kernel, padding="same", dilation=2),
    "padded unevenly": lambda m, x: F.conv2d(x, m.even, padding="same"),
    "not padded": lambda m, x: F.conv2d(x, m.kernel, padding="valid", stride=2),
    "weights from weights": lambda m, x: F.conv2d(x, m.kernel - m.kernel.mean((1, 2, 3), keepdim=True)),
    "weights from the input": lambda m, x: F.conv2d(x, m.kernel * x.mean()),
    "a bias from the input": lambda m, x: F.conv2d(x, m.kernel, x.mean((0, 2, 3))),
    "a line": lambda m, x: F.conv1d(x.flatten(2), m.kernel[:, :, 0], padding="same"),
    "maximum with dilation": lambda m, x: F.max_pool2d(x, 2, 1, dilation=2),
    "maximum to the edge": lambda m, x: F.max_pool2d(x, 2, 2, 1, ceil_mode=True),
    "mean with a divisor": lambda m, x: F.avg_pool2d(x, 2, divisor_override=3),
    "mean to the edge": lambda m, x: F.avg_pool2d(x, 2, ceil_mode=True),
    "mean without padding": lambda m, x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "mean with padding": lambda m, x: F.avg_pool2d(x, 3, 2, 1),
    "adapted": lambda m, x: F.adaptive_avg_pool2d(x, (None, 1)),
    "adapted unevenly": lambda m, x: F.adaptive_avg_pool2d(x, 3),
    "joined from the end": lambda m, x: torch.cat([x, m.second(x)], -3),
    "joined by rows": lambda m, x: torch.cat([x, m.second(x)], 2),
    "joined with a constant": lambda m, x: torch.cat([x, m.pixels.expand(x.shape[0], 1, -1, -1)], 1),
    "mean of pixels": lambda m, x: x.mean((-1, -2)) * m.row,
    "mean of channels": lambda m, x: x.mean(1),
    "mean of an example": lambda m, x: x.mean((1, 2, 3), keepdim=True) * x,
    "gain by channel": lambda m, x: x * m.row[:, None, None] - m.row.view(1, -1, 1, 1),
    "gain by pixel": lambda m, x: x * m.pixels + m.pixels[0],
    "norm of this batch": lambda m, x: F.batch_norm(x, None, None, training=True),
    "norm without weights": lambda m, x: F.instance_norm(F.group_norm(x, 2)),
    "channels last": lambda m, x: x.contiguous(memory_format=torch.channels_last),
    "added in place": _added_in_place,
    "every other column": lambda m, x: x[..., ::2],
    "from the second row": lambda m, x: x[:, :, 1:-1],
    "turned": lambda m, x: x.transpose(2, 3),
    "flattened over the batch": lambda m, x: x.flatten(0, 1).relu().view(x.shape),
    "two channels of each": lambda m, x: torch.cat([x[:, :2], x[:, 2:] * 2], 1),
    "upsampled": lambda m, x: F.interpolate(x, scale_factor=2),
    "upsampled by fractions": lambda m, x: F.interpolate(x, scale_factor=(1.5, 2.7)),
    "upsampled by a fraction anew": lambda m, x: F.interpolate(x, scale_factor=1.3, recompute_scale_factor=True),
    "upsampled to a size": lambda m, x: F.interpolate(x, (11, 5)),
    "upsampled from the middle": lambda m, x: F.interpolate(x, (11, 5), mode="nearest-exact"),
    "upsampled line": lambda m, x: F.interpolate(x[:, :, 0], 17) + F.interpolate(x[:, :, 1], 17, mode="nearest-exact"),
    "one channel for all": lambda m, x: x[:, 1:2].repeat(1, CHANNELS, 1, 1),
    "gate expanded": lambda m, x: x * x.mean((2, 3), keepdim=True).expand_as(x),
    "tiled": lambda m, x: x.tile(2, 1)[..., 3:8, :],
    "pixels filled": lambda m, x: x.masked_fill(m.pixels > 0, -0.5),
    "pixels after channels": lambda m, x: x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, CHANNELS).relu(),
    "shuffled": lambda m, x: x.unflatten(1, (2, 2)).transpose(1, 2).flatten(1, 2),
    "shuffled pixels": lambda m, x: F.pixel_shuffle(x, 2),
    "unshuffled pixels": lambda m, x: F.pixel_unshuffle(x[..., :6, 1:], 3),
    "turned and convolved": lambda m, x: m.second(x.transpose(1, 2)[:, :4]).transpose(2, 3),
    "zeros around": lambda m, x: F.pad(x, (1, 1, 2, 2)),
    "zeros on two sides": lambda m, x: m.second(F.pad(x, (0, 3, 1, 0))),
    "the edge around": lambda m, x: F.pad(x, (3, 1, 0, 2), "replicate"),
    "mirrored around": lambda m, x: F.pad(x, (3, 1, 0, 2), "reflect"),
    "from the other side": lambda m, x: F.pad(x, (1, 0, 2, 2), "circular"),
    "zeros around a line": lambda m, x: F.pad(x[:, :, 0], (3, 0)) + F.pad(x[:, :, 1], (1, 2), "reflect"),
    "ones around": lambda m, x: F.pad(x, (1, 1), value=1.0),
    "cut off": lambda m, x: F.pad(x, (-1, 1)),
    "zeros between channels": lambda m, x: F.pad(x, (0, 0, 0, 0, 1, 1)),
    "transposed": lambda m, x: F.conv_transpose2d(x, m.kernel, stride=2, padding=1, output_padding=1),
    "transposed line": lambda m, x: F.conv_transpose1d(x.flatten(2), m.kernel[:, :, 0], m.row, stride=3, groups=1),
}

ON_IDS: dict[str, Callable[[AroundIds, torch.Tensor], torch.Tensor]] = {
    "looked up": lambda m, ids: m.words(ids.long()),
    "as 32 bits": lambda m, ids: m.words(ids.to(torch.int32)),
    "next word": lambda m, ids: m.words((ids.long() + 1) % WORDS),
    "known words alone": lambda m, ids: m.words((ids > 3).long()),
    "first words": lambda m, ids: m.words(ids.long()[:, :3]),
    "indexed": lambda m, ids: m.words.weight[ids.long()],
    "scaled by the id": lambda m, ids: m.words(ids.long()) * ids.long().float()[..., None],
    "bounded": lambda m, ids: m.bounded(ids.long()),
    "two tables": lambda m, ids: m.words(ids.long()) + m.mix(m.words(ids.long())),
}
