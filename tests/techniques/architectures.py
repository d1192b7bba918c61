"""Usual architectures at a small size, with inputs for them: what people bring to be pruned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional

NOT_FOLLOWED = "its channels can't be followed through what the model does with them"
WRITTEN = "its number of channels is written into the model's forward"
HEADS = "its channels are shared out between attention heads"
STATE = "its channels are the states of a recurrent layer that reads both ways, which stay"
GROUPS = "its channels are normalised in groups of fixed size"
TIED = "'first' and 'second' have one weight in common, which stays as it is"


@dataclass(frozen=True)
class Case:
    """A model, the shape of one of its inputs, and by layer why channels stay that aren't the model's outputs."""

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    kept: dict[str, str] = field(default_factory=dict)
    vocabulary: int = 0

    def module(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.build().eval()

    def inputs(self, count: int = 16) -> torch.Tensor:
        generator = torch.Generator().manual_seed(1)
        if self.vocabulary:
            return torch.randint(self.vocabulary, (count, *self.shape), generator=generator).float()
        return torch.randn(count, *self.shape, generator=generator)


def conv(inputs: int, outputs: int, size: int = 3, **options) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, padding=size // 2, **options)


class Recurrent(nn.Module):
    """A classifier of sequences: linear layers before and after a recurrent one, of which ``last`` is taken."""

    def __init__(self, kind: type[nn.RNNBase], last: Callable = lambda outputs, state: outputs[:, -1], **options):
        super().__init__()
        self.embed = nn.Linear(6, 32)
        self.recurrent = kind(32, 16, batch_first=True, **options)
        self.hidden = nn.Linear(32 if options.get("bidirectional") else 16, 24)
        self.head = nn.Linear(24, 3)
        self.last = last

    def forward(self, rows):
        outputs, state = self.recurrent(torch.relu(self.embed(rows)))
        return self.head(torch.relu(self.hidden(self.last(outputs, state))))


class RecurrentResidual(Recurrent):
    """What goes into a recurrent layer is added to what comes out."""

    def __init__(self) -> None:
        super().__init__(nn.LSTM)
        self.embed = nn.Linear(6, 16)
        self.recurrent = nn.LSTM(16, 16, batch_first=True)

    def forward(self, rows):
        rows = self.embed(rows)
        return self.head(torch.relu(self.hidden((rows + self.recurrent(rows)[0])[:, -1])))


class RecurrentAlone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.GRU(6, 16, batch_first=True), nn.GRU(16, 24, batch_first=True)
        self.head = nn.Linear(24, 3)

    def forward(self, rows):
        return self.head(self.second(self.first(rows)[0])[0][:, -1])


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(6, 32)
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)
        self.norm = nn.LayerNorm(32)
        self.up, self.down = nn.Linear(32, 64), nn.Linear(64, 32)
        self.head = nn.Linear(32, 3)

    def forward(self, rows):
        rows = self.embed(rows)
        rows = self.norm(rows + self.attention(rows, rows, rows)[0])
        return self.head((rows + self.down(functional.gelu(self.up(rows)))).mean(1))


class AttentionByHand(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(6, 32)
        self.query, self.key, self.value = nn.Linear(32, 16), nn.Linear(32, 16), nn.Linear(32, 32)
        self.mix, self.head = nn.Linear(32, 32), nn.Linear(32, 3)

    def forward(self, rows):
        rows = torch.relu(self.embed(rows))
        weights = torch.softmax(self.query(rows) @ self.key(rows).transpose(1, 2) / 4, -1)
        return self.head((rows + self.mix(weights @ self.value(rows))).mean(1))


class TwoBranches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = conv(3, 16), nn.BatchNorm2d(32)
        self.wide, self.narrow, self.more = conv(16, 32), conv(16, 32, 1), conv(32, 32)
        self.head = nn.Linear(32, 3)

    def forward(self, images):
        features = torch.relu(self.stem(images))
        features = torch.relu(self.norm(self.wide(features)) + self.narrow(features))
        return self.head((features + self.more(features)).mean((2, 3)))


class SqueezeExcite(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.out = conv(3, 32), conv(32, 16)
        self.squeeze, self.excite = nn.Linear(32, 8), nn.Linear(8, 32)
        self.head = nn.Linear(16, 3)

    def forward(self, images):
        features = torch.relu(self.stem(images))
        gates = torch.sigmoid(self.excite(torch.relu(self.squeeze(features.mean((2, 3))))))
        return self.head(torch.relu(self.out(features * gates[:, :, None, None])).mean((2, 3)))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.high, self.low = conv(3, 16), conv(16, 32)
        self.up = nn.ConvTranspose2d(32, 16, 2, stride=2)
        self.join, self.out = conv(32, 16), conv(16, 2, 1)

    def forward(self, images):
        high = torch.relu(self.high(images))
        low = torch.relu(self.low(functional.max_pool2d(high, 2)))
        return self.out(torch.relu(self.join(torch.cat([high, self.up(low)], 1))))


class Gated(nn.Module):
    """Convolutions through ``gate``, which makes 16 channels of 32."""

    def __init__(self, gate: Callable) -> None:
        super().__init__()
        self.first, self.second, self.third = conv(3, 32), conv(16, 32), conv(16, 32)
        self.head, self.gate = nn.Linear(32, 3), gate

    def forward(self, images):
        features = self.gate(self.second(self.gate(self.first(images))))
        return self.head(torch.relu(self.third(features)).mean((2, 3)))


def halves(features: torch.Tensor) -> torch.Tensor:
    values, gates = features.chunk(2, 1)
    return values * torch.sigmoid(gates)


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.grow = nn.Linear(10, 32 * 4 * 4)
        self.up = nn.Sequential(
            nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(8, 3, 3, padding=1),
        )

    def forward(self, codes):
        return self.up(torch.relu(self.grow(codes)).view(-1, 32, 4, 4))


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 32)
        self.hidden, self.head = nn.Linear(32, 64), nn.Linear(64, 3)

    def forward(self, words):
        return self.head(torch.relu(self.hidden(self.embed(words.long()).mean(1))))


class TiedWords(nn.Module):
    """A language model's habit: what reads words out has the weight of what reads them in."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Embedding(50, 16), nn.Linear(16, 50, bias=False)
        self.second.weight = self.first.weight
        self.up, self.down = nn.Linear(16, 64), nn.Linear(64, 16)

    def forward(self, words):
        return self.second(self.down(torch.relu(self.up(self.first(words.long()).mean(1)))))


class CalledTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.start, self.again = nn.Linear(6, 32), nn.Linear(32, 32)
        self.hidden, self.head = nn.Linear(32, 16), nn.Linear(16, 3)

    def forward(self, rows):
        rows = torch.relu(self.again(torch.relu(self.again(torch.relu(self.start(rows))))))
        return self.head(torch.relu(self.hidden(rows)))


class Siamese(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 16))
        self.head = nn.Linear(32, 3)

    def forward(self, pairs):
        return self.head(torch.cat([self.encoder(pairs[:, :3]), self.encoder(pairs[:, 3:])], 1))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.start, self.first, self.second = nn.Linear(6, 32), nn.Linear(32, 32), nn.Linear(32, 32)
        self.second.weight = self.first.weight
        self.hidden, self.head = nn.Linear(32, 16), nn.Linear(16, 3)

    def forward(self, rows):
        rows = torch.relu(self.second(torch.relu(self.first(torch.relu(self.start(rows))))))
        return self.head(torch.relu(self.hidden(rows)))


class ConvNeXtBlock(nn.Module):
    """A depthwise convolution, a layer norm with channels last, and a parameter of the model's own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.depthwise = nn.Conv2d(3, 16, 2, stride=2), conv(16, 16, groups=16)
        self.norm, self.up, self.down = nn.LayerNorm(16), nn.Linear(16, 64), nn.Linear(64, 16)
        self.scale = nn.Parameter(torch.rand(16))
        self.head = nn.Linear(16, 3)

    def forward(self, images):
        features = self.stem(images)
        rows = self.norm(self.depthwise(features).permute(0, 2, 3, 1))
        rows = self.down(functional.gelu(self.up(rows))) * self.scale
        return self.head((features + rows.permute(0, 3, 1, 2)).mean((2, 3)))


class ChannelsLast(nn.Module):
    """Flattened with channels innermost, where they are usually outermost."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = conv(3, 16), conv(16, 32), nn.Linear(32 * 64, 3)

    def forward(self, images):
        features = torch.relu(self.second(torch.relu(self.first(images))))
        return self.head(features.permute(0, 2, 3, 1).flatten(1))


class Pairs(nn.Module):
    """A layer of torch's that pruning doesn't narrow."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.both = nn.Linear(6, 16), nn.Linear(6, 16), nn.Bilinear(16, 16, 32)
        self.hidden, self.head = nn.Linear(32, 16), nn.Linear(16, 3)

    def forward(self, rows):
        both = self.both(torch.relu(self.left(rows)), torch.relu(self.right(rows)))
        return self.head(torch.relu(self.hidden(torch.relu(both))))


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = conv(3, 16), conv(16, 32), nn.Linear(32, 3)
        self.spare = nn.Linear(32, 32)

    def forward(self, images):
        return self.head(torch.relu(self.second(torch.relu(self.first(images)))).mean((2, 3)))


IMAGE, ROWS, ROW = (3, 8, 8), (7, 6), (6,)
CASES = {
    "an LSTM classifier": Case(lambda: Recurrent(nn.LSTM), ROWS),
    "an LSTM's last state": Case(lambda: Recurrent(nn.LSTM, lambda outputs, state: state[0][-1]), ROWS),
    "an LSTM of two levels in both directions": Case(
        lambda: Recurrent(nn.LSTM, num_layers=2, bidirectional=True), ROWS, {"recurrent": STATE}
    ),
    "an LSTM of two levels": Case(lambda: Recurrent(nn.LSTM, num_layers=2), ROWS),
    "an LSTM in a residual branch": Case(RecurrentResidual, ROWS),
    "a GRU that comes first, and one after it": Case(RecurrentAlone, ROWS),
    "a GRU": Case(lambda: Recurrent(nn.GRU), ROWS),
    "a GRU's last state": Case(lambda: Recurrent(nn.GRU, lambda outputs, state: state[-1]), ROWS),
    "a plain RNN": Case(lambda: Recurrent(nn.RNN), ROWS),
    "multi-head attention": Case(Encoder, ROWS, dict.fromkeys(("embed", "attention", "norm", "down"), HEADS)),
    "attention by hand": Case(AttentionByHand, ROWS, dict.fromkeys(("query", "key", "value"), NOT_FOLLOWED)),
    "two residual branches": Case(TwoBranches, IMAGE),
    "depthwise-separable": Case(
        lambda: nn.Sequential(
            conv(3, 16),
            nn.BatchNorm2d(16),
            nn.ReLU6(),
            conv(16, 16, groups=16),
            nn.BatchNorm2d(16),
            nn.Hardswish(),
            conv(16, 32, 1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(32, 3),
        ),
        IMAGE,
    ),
    "squeeze and excite": Case(SqueezeExcite, IMAGE),
    "a U-Net's concatenation": Case(UNet, IMAGE),
    "an upscaler that shuffles pixels": Case(
        lambda: nn.Sequential(
            conv(3, 16), nn.ReLU(), conv(16, 32), nn.ReLU(), conv(32, 64), nn.PixelShuffle(2), conv(16, 3)
        ),
        IMAGE,
        {"4": NOT_FOLLOWED},
    ),
    "gated linear units": Case(
        lambda: Gated(lambda features: functional.glu(features, 1)),
        IMAGE,
        dict.fromkeys(("first", "second"), NOT_FOLLOWED),
    ),
    "gates by hand": Case(lambda: Gated(halves), IMAGE, dict.fromkeys(("first", "second"), NOT_FOLLOWED)),
    "a decoder": Case(Decoder, (10,), {"grow": WRITTEN}),
    "embedded words": Case(Words, (9,), vocabulary=50),
    "words read out as they are read in": Case(TiedWords, (9,), {"down": TIED}, vocabulary=50),
    "a layer called twice": Case(CalledTwice, ROW),
    "one encoder for both inputs": Case(Siamese, ROW),
    "tied linear layers": Case(Tied, ROW, dict.fromkeys(("start", "first", "second"), TIED)),
    "group norm": Case(
        lambda: nn.Sequential(
            conv(3, 32),
            nn.GroupNorm(4, 32),
            nn.ReLU(),
            conv(32, 16),
            nn.ReLU(),
            conv(16, 32),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(32, 3),
        ),
        IMAGE,
        dict.fromkeys(("0", "1"), GROUPS),
    ),
    "instance norm with statistics": Case(
        lambda: nn.Sequential(
            conv(3, 16), nn.InstanceNorm2d(16, affine=True, track_running_stats=True), nn.ReLU(), conv(16, 3)
        ),
        IMAGE,
    ),
    "one dimension": Case(
        lambda: nn.Sequential(
            nn.Conv1d(3, 16, 3), nn.BatchNorm1d(16), nn.ReLU(), nn.Conv1d(16, 32, 3), nn.Flatten(), nn.Linear(384, 3)
        ),
        (3, 16),
    ),
    "three dimensions": Case(
        lambda: nn.Sequential(
            nn.Conv3d(1, 16, 3), nn.BatchNorm3d(16), nn.ReLU(), nn.Conv3d(16, 32, 3), nn.Flatten(), nn.Linear(256, 3)
        ),
        (1, 6, 6, 6),
    ),
    "a perceptron with batch norm": Case(
        lambda: nn.Sequential(
            nn.Linear(6, 32),
            nn.BatchNorm1d(32),
            nn.ReLU(),
            nn.Linear(32, 16),
            nn.BatchNorm1d(16),
            nn.ReLU(),
            nn.Linear(16, 3),
        ),
        ROW,
    ),
    "a ConvNeXt block": Case(ConvNeXtBlock, IMAGE),
    "channels last": Case(ChannelsLast, IMAGE, {"second": NOT_FOLLOWED}),
    "a bilinear layer": Case(Pairs, ROW, dict.fromkeys(("left", "right"), NOT_FOLLOWED)),
    "a layer that isn't used": Case(Unused, IMAGE, {"spare": "the model doesn't use this layer"}),
}
