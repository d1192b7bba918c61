"""The models that the native engine is compared on: three embedded ones with their data, others with random weights.

Speed doesn't depend on the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from workbench import models
from workbench.workload import Data, Workload

CALIBRATION = 256


@dataclass(frozen=True)
class Example:
    """A model in eval mode, inputs [N, …] to calibrate and run it with, and labelled ones where there are any."""

    module: nn.Module
    inputs: torch.Tensor
    test: Data | None = None


def conv_bn(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution without bias and the batch norm behind it."""
    convolution = nn.Conv2d(inputs, outputs, size, stride, (size - 1) // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    """Two 3×3 convolutions and a shortcut (He et al. 2015)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first, self.second = conv_bn(inputs, outputs, 3, stride), conv_bn(outputs, outputs, 3)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else conv_bn(inputs, outputs, 1, stride)

    def forward(self, x):
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


def resnet(blocks: tuple[int, ...], widths: tuple[int, ...], stem: nn.Module, classes: int) -> nn.Module:
    """Stages of residual blocks; each after the first begins with stride 2."""
    layers, inputs = [stem], widths[0]
    for stage, (count, width) in enumerate(zip(blocks, widths, strict=True)):
        for block in range(count):
            layers.append(Residual(inputs, width, 2 if stage and not block else 1))
            inputs = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


def mlp() -> nn.Module:
    """784-1024-1024-10."""
    return nn.Sequential(nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10))


def resnet20() -> nn.Module:
    """The CIFAR network of He et al. 2015."""
    return resnet((3, 3, 3), (16, 32, 64), nn.Sequential(conv_bn(3, 16, 3), nn.ReLU()), 10)


def resnet18() -> nn.Module:
    """The ImageNet network of He et al. 2015."""
    stem = nn.Sequential(conv_bn(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
    return resnet((2, 2, 2, 2), (64, 128, 256, 512), stem, 1000)


def ds_cnn() -> nn.Module:
    """Depthwise-separable keyword spotting (Zhang et al. 2017), 49×10 features."""
    layers = [nn.Conv2d(1, 64, (10, 4), 2, (5, 1), bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    for _ in range(4):
        layers += [*conv_bn(64, 64, 3, groups=64), nn.ReLU(), *conv_bn(64, 64, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 12))


class Inverted(nn.Module):
    """Expand, filter each channel, project (Sandler et al. 2018)."""

    def __init__(self, inputs: int, outputs: int, stride: int, expand: int) -> None:
        super().__init__()
        wide = inputs * expand
        widen = [*conv_bn(inputs, wide, 1), nn.ReLU6()] if expand > 1 else []
        self.body = nn.Sequential(
            *widen, *conv_bn(wide, wide, 3, stride, groups=wide), nn.ReLU6(), *conv_bn(wide, outputs, 1)
        )
        self.joins = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.body(x) if self.joins else self.body(x)


def mobilenet() -> nn.Module:
    """MobileNetV2 at half width for 96×96 images."""
    layers, inputs = [*conv_bn(3, 16, 3, 2), nn.ReLU6()], 16
    plan = ((1, 8, 1, 1), (6, 16, 2, 2), (6, 16, 3, 2), (6, 32, 4, 2), (6, 48, 3, 1), (6, 80, 3, 2), (6, 160, 1, 1))
    for expand, outputs, count, stride in plan:
        for block in range(count):
            layers.append(Inverted(inputs, outputs, 1 if block else stride, expand))
            inputs = outputs
    head = [*conv_bn(inputs, 640, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(640, 100)]
    return nn.Sequential(*layers, *head)


class Encoder(nn.Module):
    """A transformer encoder of six layers (Vaswani et al. 2017), 384 wide, over 128 tokens that are vectors already."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(384, 6, 1536, 0.0, activation="gelu", batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
        self.head = nn.Linear(384, 10)

    def forward(self, x):
        return self.head(self.layers(x).mean(1))


class LastStep(nn.Module):
    """A classifier of what a recurrent layer ends with."""

    def __init__(self, recurrent: nn.RNNBase) -> None:
        super().__init__()
        self.recurrent, self.head = recurrent, nn.Linear(recurrent.hidden_size, 10)

    def forward(self, x):
        return self.head(self.recurrent(x)[0][:, -1])


def gru() -> nn.Module:
    """An image's 28 rows, one after the other (Cho et al. 2014)."""
    return LastStep(nn.GRU(28, 128, batch_first=True))


def lstm() -> nn.Module:
    """64 vectors of 64 (Hochreiter and Schmidhuber 1997)."""
    return LastStep(nn.LSTM(64, 256, batch_first=True))


def trained(name: str) -> Example:
    """An embedded model with its weights and data."""
    loaded = models.load(Workload(name))
    return Example(loaded.module.eval(), loaded.train.inputs[0][:CALIBRATION], loaded.test)


def untrained(build: Callable[[], nn.Module], shape: tuple[int, ...]) -> Example:
    """Random weights, and batch-norm statistics of the random inputs."""
    torch.manual_seed(0)
    module, inputs = build(), torch.randn(32, *shape)
    module.train()
    with torch.no_grad():
        module(inputs)
    return Example(module.eval(), inputs)


MODELS: dict[str, tuple[Callable[[], Example], tuple[int, ...]]] = {
    "fashion-cnn": (partial(trained, "fashion-cnn"), (1, 32)),
    "mlp": (partial(untrained, mlp, (784,)), (1, 32)),
    "fashion-resnet8": (partial(trained, "fashion-resnet8"), (1, 32)),
    "resnet20": (partial(untrained, resnet20, (3, 32, 32)), (1, 32)),
    "ds-cnn": (partial(untrained, ds_cnn, (1, 49, 10)), (1, 32)),
    "mobilenet": (partial(untrained, mobilenet, (3, 96, 96)), (1, 32)),
    "resnet18": (partial(untrained, resnet18, (3, 224, 224)), (1, 8)),
    "encoder": (partial(untrained, Encoder, (128, 384)), (1, 8)),
    "fashion-scenes": (partial(trained, "fashion-scenes"), (1, 8)),
    "gru": (partial(untrained, gru, (28, 28)), (1, 32)),
    "lstm": (partial(untrained, lstm, (64, 64)), (1, 32)),
}
"""Name: how to make it, and the batch sizes it is measured at."""

LARGE = ("mobilenet", "resnet18", "encoder")
"""Those whose arithmetic outweighs what it costs to call a model; the others are the small ones."""
