"""A small convolutional network for Fashion-MNIST."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from workbench.datasets import fashion_mnist
from workbench.models.zoo._base import Embedded
from workbench.models.zoo._fashion_mnist import FashionMnist, FashionPlan
from workbench.tasks import Counted


class FashionCNN(nn.Module):
    """Two 3×3 convolutions of 16 and 32 channels, two poolings, two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(32 * 7 * 7, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.pool(functional.relu(self.conv1(images)))
        features = self.pool(functional.relu(self.conv2(features)))
        return self.fc2(functional.relu(self.fc1(features.flatten(1))))


FASHION_CNN = Embedded(
    name="fashion-cnn",
    architecture=FashionCNN,
    source=FashionMnist(),
    plan=FashionPlan(epochs=20, peak_learning_rate=0.1),
    metric="accuracy",
    loss="cross-entropy",
    counted=Counted("images"),
    classes=fashion_mnist.CLASSES,
)
