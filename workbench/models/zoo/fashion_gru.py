"""Fashion-MNIST read row by row: classification of a sequence."""

from __future__ import annotations

import torch
from torch import nn

from workbench.datasets import fashion_mnist
from workbench.models import _digest
from workbench.models.zoo._base import Embedded, Plan
from workbench.models.zoo._fashion_mnist import FashionMnist
from workbench.tasks import Counted
from workbench.workload import Data


class FashionRows:
    """float32 sequences [N, 28, 28], an image's rows from the top down in 0…1, and its class number."""

    title = FashionMnist.title

    def read(self) -> tuple[Data, Data]:
        test, train = (Data(data.inputs[0].squeeze(1), data.targets) for data in FashionMnist().read())
        return test, train

    def digest(self) -> str:
        return _digest.combine(FashionMnist().digest(), "rows")


class FashionGRU(nn.Module):
    """A GRU of 128 units that reads an image in 28 steps, a row each, and a linear layer after the last."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(28, 128, batch_first=True)
        self.fc = nn.Linear(128, 10)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        states, _ = self.gru(rows)
        return self.fc(states[:, -1])


def naive(test: Data, train: Data) -> dict[str, torch.Tensor]:
    """The class whose mean image of those to learn from is nearest."""
    (images,), (known,) = test.inputs, train.inputs
    means = torch.stack([known[train.targets == each].mean(0) for each in train.targets.unique()])
    return {"the nearest mean image": -torch.cdist(images.flatten(1), means.flatten(1))}


FASHION_GRU = Embedded(
    name="fashion-gru",
    architecture=FashionGRU,
    source=FashionRows(),
    plan=Plan(epochs=20, peak_learning_rate=4e-3),
    metric="accuracy",
    loss="cross-entropy",
    counted=Counted("images"),
    naive=naive,
    classes=fashion_mnist.CLASSES,
)
