"""Small models, each with one thing that is hard to quantize or to prune, and what several tests ask of models."""

from __future__ import annotations

import torch
from torch import nn

from workbench import engines

ENGINES_OF_BYTES = [
    name for name, each in engines.registered().items() if "int8-static" in each.precisions and not each.slow_to_prepare
]
"""Those with kernels for bytes, eager's imitation among them, that are ready in a moment."""


class Residual(nn.Module):
    """Batch normalisation, a residual addition and a strided shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.conv = nn.Conv2d(16, 16, 3, padding=1)
        self.down = nn.Conv2d(16, 32, 1, stride=2)
        self.head = nn.Linear(32, 10)

    def forward(self, images):
        features = torch.relu(self.bn(self.stem(images)))
        features = torch.relu(self.conv(features) + features)
        return self.head(self.down(features).mean((2, 3)))


class Depthwise(nn.Module):
    """A depthwise convolution, other activations, dropout, and a view where convolutions end."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1),
            nn.ReLU6(),
            nn.Conv2d(16, 16, 3, padding=1, groups=16),
            nn.Hardswish(),
            nn.Conv2d(16, 32, 1),
            nn.ReLU(),
            nn.Dropout(0.2),
        )
        self.head = nn.Linear(32 * 14 * 14, 10)

    def forward(self, images):
        features = self.features(images)
        return self.head(features.view(features.shape[0], -1))


class Attention(nn.Module):
    """One layer of torch's own transformer encoder over the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(28, 32)
        self.encoder = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.head = nn.Linear(32, 10)

    def forward(self, images):
        return self.head(self.encoder(self.embed(images[:, 0])).mean(1))


class WrittenOut(nn.Module):
    """Attention by hand: the width stands in its views and can't change."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(28, 32)
        self.qkv = nn.Linear(32, 96)
        self.hidden = nn.Linear(32, 64)
        self.back = nn.Linear(64, 32)
        self.head = nn.Linear(32, 10)

    def forward(self, images):
        rows = self.embed(images.squeeze(1))
        q, k, v = self.qkv(rows).view(rows.shape[0], 28, 3, 4, 8).permute(2, 0, 3, 1, 4)
        mixed = torch.softmax(q @ k.transpose(-1, -2) / 8**0.5, -1) @ v
        rows = rows + mixed.transpose(1, 2).reshape(rows.shape[0], 28, 32)
        return self.head((rows + self.back(torch.relu(self.hidden(rows)))).mean(1))


class CalledTwice(nn.Module):
    """One convolution applied two times."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)
        self.head = nn.Linear(784, 10)

    def forward(self, images):
        return self.head(torch.relu(self.conv(torch.relu(self.conv(images)))).flatten(1))


ARCHITECTURES = (Residual, Depthwise, Attention, WrittenOut, CalledTwice)


def build(architecture: type[nn.Module]) -> nn.Module:
    """The model with the same random weights each time, and statistics as if it had been trained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = architecture()
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.uniform_(-0.2, 0.2)
                layer.running_var.uniform_(0.5, 1.5)
    return module.eval()


@torch.no_grad()
def logits(module: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    return torch.cat([module(part) for part in inputs.split(250)])


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


class CancelAfter:
    """A checkpoint that lets ``calls`` batches pass and then cancels."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def __call__(self) -> None:
        from workbench.errors import Cancelled

        if self.left == 0:
            raise Cancelled
        self.left -= 1
