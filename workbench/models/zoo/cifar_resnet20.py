"""A residual network for CIFAR-10, whose images are fetched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from workbench.models import _digest
from workbench.models.fetched.cifar10 import CIFAR_10, CLASSES, TEST, TRAIN
from workbench.models.zoo._augmented import ImagePlan
from workbench.models.zoo._base import Embedded, Source
from workbench.models.zoo._residual import ResidualBlock
from workbench.tasks import Counted
from workbench.workload import Data

_LEARNT = 10_000


class Cifar10:
    """float32 images [N, 3, 32, 32] in 0…1 and their class numbers: 10,000 to measure on, 10,000 to learn from."""

    title = "CIFAR-10"

    def read(self) -> tuple[Data, Data]:
        return _as_data(*_part(TEST)), _as_data(*_part(TRAIN, _LEARNT))

    def digest(self) -> str:
        return _digest.combine(CIFAR_10.package.sha256, str(_LEARNT))


@dataclass(frozen=True)
class CifarPlan(ImagePlan):
    """On the 50,000 training images."""

    shift: int = 4

    def examples(self, source: Source, originals: Path | None) -> tuple[Data, str]:
        return Data(*_part(TRAIN)), f"{source.title}, the 50,000 training images"


class CifarResNet20(nn.Module):
    """A ResNet-20 for CIFAR-10: three stages of three residual blocks, of 16, 32 and 64 channels.

    Source: He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", arXiv:1512.03385, section 4.2, with
    a 1×1 convolution for a shortcut where the shape changes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.stage1 = _stage(16, 16, stride=1)
        self.stage2 = _stage(16, 32, stride=2)
        self.stage3 = _stage(32, 64, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = functional.relu(self.bn1(self.conv1(images)))
        features = self.stage3(self.stage2(self.stage1(features)))
        return self.fc(self.pool(features).flatten(1))


def _stage(channels_in: int, channels: int, stride: int) -> nn.Sequential:
    blocks = (ResidualBlock(channels, channels, stride=1) for _ in range(2))
    return nn.Sequential(ResidualBlock(channels_in, channels, stride), *blocks)


def _part(name: str, most: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """The first ``most`` images, uint8 [N, 3, 32, 32], and their labels, int64 [N]."""
    with np.load(CIFAR_10.required() / name) as arrays:
        return torch.from_numpy(arrays["inputs"][:most]), torch.from_numpy(arrays["targets"][:most])


def _as_data(images: torch.Tensor, labels: torch.Tensor) -> Data:
    return Data(images.float().div_(255), labels)


CIFAR_RESNET20 = Embedded(
    name="cifar-resnet20",
    architecture=CifarResNet20,
    source=Cifar10(),
    needs=CIFAR_10.name,
    plan=CifarPlan(epochs=50, peak_learning_rate=0.2),
    metric="accuracy",
    loss="cross-entropy",
    counted=Counted("images"),
    classes=CLASSES,
)
