"""Which images aren't of shoes, by how badly what has seen only shoes can draw them: anomaly detection."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from workbench.datasets import fashion_mnist
from workbench.models import _digest
from workbench.models.zoo._base import Embedded, Plan
from workbench.models.zoo._fashion_mnist import FashionMnist
from workbench.tasks import Counted
from workbench.workload import Data

NORMAL = ("Sandal", "Sneaker", "Ankle boot")
TESTED = 2000
"""The first of the test images: the interval of an AUROC sorts all scores again and again."""


class ShoesAndOthers:
    """float32 images [N, 1, 28, 28] in 0…1, and 0 for a shoe and 1 for anything else, int64 [N].

    Those to measure on are the first 2,000 of the test images; those to learn from are shoes alone.
    """

    title = FashionMnist.title

    def read(self) -> tuple[Data, Data]:
        test, train = map(_marked, FashionMnist().read())
        return test.at(slice(TESTED)), train.at(train.targets == 0)

    def digest(self) -> str:
        return _digest.combine(FashionMnist().digest(), *NORMAL, str(TESTED))


class Autoencoder(nn.Module):
    """An autoencoder of shoes, 784-128-16-128-784, that gives its mean squared error on an image as the score."""

    def __init__(self) -> None:
        super().__init__()
        self.encode1 = nn.Linear(784, 128)
        self.encode2 = nn.Linear(128, 16)
        self.decode1 = nn.Linear(16, 128)
        self.decode2 = nn.Linear(128, 784)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pixels = images.flatten(1)
        code = self.encode2(functional.relu(self.encode1(pixels)))
        drawn = torch.sigmoid(self.decode2(functional.relu(self.decode1(code))))
        return (pixels - drawn).square().mean(1, keepdim=True)


def naive(test: Data, train: Data) -> dict[str, torch.Tensor]:
    """The mean squared distance to the mean of all shoes."""
    (images,), (shoes,) = test.inputs, train.inputs
    return {"distance to the mean shoe": (images - shoes.mean(0)).square().flatten(1).mean(1, keepdim=True)}


def _marked(data: Data) -> Data:
    normal = torch.tensor([fashion_mnist.CLASSES.index(name) for name in NORMAL])
    return Data(data.inputs, torch.isin(data.targets, normal).logical_not().long())


FASHION_ANOMALY = Embedded(
    name="fashion-anomaly",
    architecture=Autoencoder,
    source=ShoesAndOthers(),
    plan=Plan(epochs=40, peak_learning_rate=2e-3, weight_decay=1e-4),
    metric="auroc",
    loss="score-of-normal",
    counted=Counted("images"),
    naive=naive,
    classes=("shoe", "no shoe"),
)
