"""A network of depthwise convolutions for Fashion-MNIST."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from workbench.datasets import fashion_mnist
from workbench.models.zoo._base import Embedded
from workbench.models.zoo._fashion_mnist import FashionMnist, FashionPlan
from workbench.tasks import Counted

BLOCKS = (
    *((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2)),
    *[(128, 1)] * 5,
    *((256, 2), (256, 1)),
)
"""The channels that each block gives, and its stride."""


class Separable(nn.Module):
    """A 3×3 convolution of each channel by itself, then a 1×1 convolution over all of them."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            channels_in, channels_in, 3, stride=stride, padding=1, groups=channels_in, bias=False
        )
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.pointwise = nn.Conv2d(channels_in, channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        features = functional.relu(self.bn1(self.depthwise(features)))
        return functional.relu(self.bn2(self.pointwise(features)))


class FashionMobileNet(nn.Module):
    """The MobileNet of 2017 at a quarter of its width: 13 pairs of a depthwise and a 1×1 convolution.

    Source: Howard et al., "MobileNets", arXiv:1704.04861, table 1, with one input channel in place of three, and a
    first convolution of stride 1, the images being of 28×28 pixels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        widths = [8, *(channels for channels, _ in BLOCKS)]
        pairs = zip(widths, BLOCKS, strict=False)
        self.blocks = nn.Sequential(*(Separable(wide, channels, stride) for wide, (channels, stride) in pairs))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(256, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.blocks(functional.relu(self.bn1(self.conv1(images))))
        return self.fc(self.pool(features).flatten(1))


FASHION_MOBILENET = Embedded(
    name="fashion-mobilenet",
    architecture=FashionMobileNet,
    source=FashionMnist(),
    plan=FashionPlan(epochs=20, peak_learning_rate=0.2, weight_decay=2e-4, smoothing=0.0),
    metric="accuracy",
    loss="cross-entropy",
    counted=Counted("images"),
    classes=fashion_mnist.CLASSES,
)
