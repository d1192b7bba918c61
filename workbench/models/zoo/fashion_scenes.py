"""Which pixels of a scene are what kind of garment: segmentation."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from workbench.datasets import data_card, fashion_scenes
from workbench.models import _digest
from workbench.models.zoo._base import Embedded, Plan
from workbench.tasks import Counted
from workbench.workload import Data


class Scenes:
    """float32 scenes [N, 1, 56, 56] in 0…1 and the class of each pixel, int64 [N, 56, 56]."""

    title = "scenes of Fashion-MNIST"

    def read(self) -> tuple[Data, Data]:
        test, train = (_as_data(*part()) for part in (fashion_scenes.test, fashion_scenes.train))
        return test, train

    def digest(self) -> str:
        return _digest.combine(*data_card("fashion-scenes").composed.values())


class Block(nn.Module):
    """A 3×3 convolution, batch normalisation and a ReLU."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.norm(self.conv(features)))


class UNet(nn.Module):
    """A U-Net of three levels of 16, 32 and 64 channels that tells the kind of garment at each pixel.

    Source: Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
    arXiv:1505.04597; with padding, one convolution each on the way down and plain upsampling.
    """

    def __init__(self) -> None:
        super().__init__()
        self.down1 = Block(1, 16)
        self.down2 = Block(16, 32)
        self.bottom1 = Block(32, 64)
        self.bottom2 = Block(64, 64)
        self.up2 = Block(64 + 32, 32)
        self.up1 = Block(32 + 16, 16)
        self.classes = nn.Conv2d(16, len(fashion_scenes.CLASSES), 1)
        self.pool = nn.MaxPool2d(2)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, scenes: torch.Tensor) -> torch.Tensor:
        fine = self.down1(scenes)
        middle = self.down2(self.pool(fine))
        coarse = self.bottom2(self.bottom1(self.pool(middle)))
        middle = self.up2(torch.cat([self.upsample(coarse), middle], 1))
        fine = self.up1(torch.cat([self.upsample(middle), fine], 1))
        return self.classes(fine)


def naive(test: Data, train: Data) -> dict[str, torch.Tensor]:
    """Background everywhere, and what garments are made of most wherever the scene isn't black."""
    (scenes,) = test.inputs
    count = len(fashion_scenes.CLASSES)
    garments = train.targets[train.targets > 0]
    inside = (scenes[:, 0] > 0) * garments.mode().values
    guesses = {"background": torch.zeros_like(test.targets), "the commonest garment wherever it isn't black": inside}
    return {name: functional.one_hot(guess, count).movedim(-1, 1).float() for name, guess in guesses.items()}


def _as_data(scenes: np.ndarray, classes: np.ndarray) -> Data:
    return Data(torch.tensor(scenes).unsqueeze(1).float().div_(255), torch.tensor(classes).long())


FASHION_SCENES = Embedded(
    name="fashion-scenes",
    architecture=UNet,
    source=Scenes(),
    plan=Plan(epochs=12, peak_learning_rate=5e-3, batch=32),
    metric="mean-iou",
    loss="cross-entropy",
    counted=Counted("images"),
    naive=naive,
    classes=fashion_scenes.CLASSES,
)
