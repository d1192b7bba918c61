"""EfficientNet-Lite0 as a workload: its layers, and the images that it is measured on."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from workbench.models import _digest
from workbench.models.fetched.cifar10 import CIFAR_10, TEST
from workbench.models.zoo import Embedded
from workbench.tasks import Counted
from workbench.workload import Data

SIDE = 224
MEASURED, LEARNT = 300, 100
EPSILON = 1e-3
BLOCKS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""How many of a kind, their kernel, the stride of the first, by how much they widen, and what they give."""


class EnlargedImages:
    """float32 images [N, 3, 224, 224] in −1…1, of CIFAR-10's test images; no targets, whose classes are others."""

    title = "CIFAR-10 images enlarged to 224×224"

    def read(self) -> tuple[Data, Data]:
        with np.load(CIFAR_10.required() / TEST) as arrays:
            images = torch.from_numpy(arrays["inputs"][: MEASURED + LEARNT]).float()
        enlarged = functional.interpolate(images, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        scaled = enlarged.sub_(127).div_(128)  # as the weights were trained
        return Data(scaled[:MEASURED]), Data(scaled[MEASURED:])

    def digest(self) -> str:
        return _digest.combine(CIFAR_10.package.sha256, str((SIDE, MEASURED, LEARNT)))


class Convolution(nn.Conv2d):
    """Without a bias, padded so that a side of n becomes ⌈n / stride⌉, as TensorFlow does where n is even."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        whole = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding=whole, groups=groups, bias=False)
        before = (kernel - stride) // 2
        self.around = (before, kernel - stride - before) * 2 if stride > 1 else None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(functional.pad(images, self.around) if self.around else images)


class Block(nn.Module):
    """An inverted bottleneck: widened, filtered channel by channel, narrowed; beside a shortcut where it fits."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, widening: int) -> None:
        super().__init__()
        wide = inputs * widening
        self.widens, self.stays = widening > 1, stride == 1 and inputs == outputs
        if self.widens:
            self.expand_conv, self.bn0 = Convolution(inputs, wide, 1), nn.BatchNorm2d(wide, EPSILON)
        self.depthwise_conv = Convolution(wide, wide, kernel, stride, groups=wide)
        self.bn1 = nn.BatchNorm2d(wide, EPSILON)
        self.project_conv, self.bn2 = Convolution(wide, outputs, 1), nn.BatchNorm2d(outputs, EPSILON)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found = functional.relu6(self.bn0(self.expand_conv(images))) if self.widens else images
        found = functional.relu6(self.bn1(self.depthwise_conv(found)))
        found = self.bn2(self.project_conv(found))
        return images + found if self.stays else found


class EfficientNetLite0(nn.Module):
    """A convolution, 16 inverted bottlenecks, a convolution, and a linear layer over the mean of all places.

    Source: Tan and Le 2019, "EfficientNet", without squeeze-and-excitation and with ReLU6, as Google's Lite models.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem, self.bn0 = Convolution(3, 32, 3, stride=2), nn.BatchNorm2d(32, EPSILON)
        self.blocks = nn.ModuleList()
        width = 32
        for count, kernel, stride, widening, outputs in BLOCKS:
            for index in range(count):
                self.blocks.append(Block(width, outputs, kernel, stride if index == 0 else 1, widening))
                width = outputs
        self.conv_head, self.bn1 = Convolution(width, 1280, 1), nn.BatchNorm2d(1280, EPSILON)
        self.fc = nn.Linear(1280, 1000)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found = functional.relu6(self.bn0(self.conv_stem(images)))
        for block in self.blocks:
            found = block(found)
        found = functional.relu6(self.bn1(self.conv_head(found)))
        return self.fc(found.mean((2, 3)))


WORKLOAD = Embedded(
    name="efficientnet-lite0",
    architecture=EfficientNetLite0,
    source=EnlargedImages(),
    metric="agreement",
    loss="cross-entropy",
    counted=Counted("images"),
)
