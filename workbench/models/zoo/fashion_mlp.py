"""A multilayer perceptron for Fashion-MNIST."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from workbench.datasets import fashion_mnist
from workbench.models.zoo._base import Embedded
from workbench.models.zoo._fashion_mnist import FashionMnist, FashionPlan
from workbench.tasks import Counted


class FashionMLP(nn.Module):
    """Three linear layers, 784-512-512-10."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(784, 512)
        self.fc2 = nn.Linear(512, 512)
        self.fc3 = nn.Linear(512, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden = functional.relu(self.fc1(images.flatten(1)))
        return self.fc3(functional.relu(self.fc2(hidden)))


FASHION_MLP = Embedded(
    name="fashion-mlp",
    architecture=FashionMLP,
    source=FashionMnist(),
    plan=FashionPlan(epochs=20, peak_learning_rate=0.1, shift=0),
    metric="accuracy",
    loss="cross-entropy",
    counted=Counted("images"),
    classes=fashion_mnist.CLASSES,
)
