"""Fashion-MNIST as models take it, and how those that classify it learn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from workbench.datasets import data_card, fashion_mnist
from workbench.models import _digest
from workbench.models.zoo._augmented import ImagePlan
from workbench.models.zoo._base import Source
from workbench.tasks import Loss
from workbench.workload import Data


class FashionMnist:
    """float32 images [N, 1, 28, 28] in 0…1 and their class numbers: 10,000 to measure on, some more to learn from."""

    title = "Fashion-MNIST"

    def read(self) -> tuple[Data, Data]:
        test, train = (_as_data(*part()) for part in (fashion_mnist.test, fashion_mnist.train))
        return test, train

    def digest(self) -> str:
        return _digest.combine(*(file.sha256 for file in data_card("fashion-mnist").files))


@dataclass(frozen=True)
class FashionPlan(ImagePlan):
    """On the 60,000 training images, of which a part is embedded; ``smoothing`` is the label smoothing."""

    smoothing: float = 0.05

    def examples(self, source: Source, originals: Path | None) -> tuple[Data, str]:
        images, labels = fashion_mnist.full(originals)
        pixels = torch.tensor(images).unsqueeze(1)
        return Data(pixels, torch.tensor(labels).long()), f"{source.title}, the 60,000 training images"

    def criterion(self, loss: Loss) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        return partial(functional.cross_entropy, label_smoothing=self.smoothing)


def _as_data(images: Any, labels: Any) -> Data:
    """Turn uint8 images [N, 28, 28] into float32 [N, 1, 28, 28] in 0…1."""
    return Data(torch.tensor(images).unsqueeze(1).float().div_(255), torch.tensor(labels).long())
