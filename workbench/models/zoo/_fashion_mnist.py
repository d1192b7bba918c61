"""Fashion-MNIST as models take it."""

from __future__ import annotations

from typing import Any

import torch

from workbench.datasets import data_card, fashion_mnist
from workbench.models import _digest
from workbench.workload import Data


class FashionMnist:
    """float32 images [N, 1, 28, 28] in 0…1 and their class numbers: 10,000 to measure on, some more to learn from."""

    def read(self) -> tuple[Data, Data]:
        test, train = (_as_data(*part()) for part in (fashion_mnist.test, fashion_mnist.train))
        return test, train

    def digest(self) -> str:
        return _digest.combine(*(file.sha256 for file in data_card("fashion-mnist").files))


def _as_data(images: Any, labels: Any) -> Data:
    """Turn uint8 images [N, 28, 28] into float32 [N, 1, 28, 28] in 0…1."""
    return Data(torch.tensor(images).unsqueeze(1).float().div_(255), torch.tensor(labels).long())
