"""A residual network for Fashion-MNIST."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from workbench.datasets import fashion_mnist
from workbench.models.zoo._base import Embedded
from workbench.models.zoo._fashion_mnist import FashionMnist, FashionPlan
from workbench.models.zoo._residual import ResidualBlock
from workbench.tasks import Counted


class FashionResNet8(nn.Module):
    """The ResNet-8 of MLPerf Tiny: three residual blocks of 16, 32 and 64 channels.

    With one input channel in place of three. Source: Banbury et al., "MLPerf Tiny Benchmark",
    arXiv:2106.07597.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.block1 = ResidualBlock(16, 16, stride=1)
        self.block2 = ResidualBlock(16, 32, stride=2)
        self.block3 = ResidualBlock(32, 64, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = functional.relu(self.bn1(self.conv1(images)))
        features = self.block3(self.block2(self.block1(features)))
        return self.fc(self.pool(features).flatten(1))


FASHION_RESNET8 = Embedded(
    name="fashion-resnet8",
    architecture=FashionResNet8,
    source=FashionMnist(),
    plan=FashionPlan(epochs=24, peak_learning_rate=0.2, weight_decay=2e-4, smoothing=0.0),
    metric="accuracy",
    loss="cross-entropy",
    counted=Counted("images"),
    classes=fashion_mnist.CLASSES,
)
