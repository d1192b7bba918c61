"""A student for those who know Fashion-MNIST well."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from workbench.datasets import fashion_mnist
from workbench.models.zoo._base import Embedded
from workbench.models.zoo._fashion_mnist import FashionMnist, FashionPlan
from workbench.tasks import Counted


class FashionStudent(nn.Module):
    """Two 3×3 convolutions of 8 and 16 channels, two poolings, one linear layer: small enough to distill into."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(16 * 7 * 7, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.pool(functional.relu(self.conv1(images)))
        features = self.pool(functional.relu(self.conv2(features)))
        return self.fc1(features.flatten(1))


FASHION_STUDENT = Embedded(
    name="fashion-student",
    architecture=FashionStudent,
    source=FashionMnist(),
    plan=FashionPlan(epochs=20, peak_learning_rate=0.1, weight_decay=1e-4, smoothing=0.0),
    metric="accuracy",
    loss="cross-entropy",
    counted=Counted("images"),
    classes=fashion_mnist.CLASSES,
)
