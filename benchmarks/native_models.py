"""The architectures that the native engine is compared on, with random weights: speed doesn't depend on them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


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


def cnn() -> nn.Module:
    """The convolutional network everybody starts with, for 28×28 grey images."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1568, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def mlp() -> nn.Module:
    """784-1024-1024-10."""
    return nn.Sequential(nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10))


def resnet8() -> nn.Module:
    """The MLPerf Tiny image classifier."""
    return resnet((1, 1, 1), (16, 32, 64), nn.Sequential(conv_bn(3, 16, 3), nn.ReLU()), 10)


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


MODELS = {
    "cnn": (cnn, (1, 28, 28), (1, 32)),
    "mlp": (mlp, (784,), (1, 32)),
    "resnet8": (resnet8, (3, 32, 32), (1, 32)),
    "resnet20": (resnet20, (3, 32, 32), (1, 32)),
    "ds-cnn": (ds_cnn, (1, 49, 10), (1, 32)),
    "mobilenet": (mobilenet, (3, 96, 96), (1, 32)),
    "resnet18": (resnet18, (3, 224, 224), (1, 8)),
    "encoder": (Encoder, (128, 384), (1, 8)),
}
"""Name: how to make it, the shape of an input, the batch sizes it is measured at."""


def make(name: str) -> tuple[nn.Module, torch.Tensor]:
    """A model in eval mode with batch-norm statistics of its own, and 32 inputs."""
    build, shape, _ = MODELS[name]
    torch.manual_seed(0)
    model, inputs = build(), torch.randn(32, *shape)
    model.train()
    with torch.no_grad():
        model(inputs)
    return model.eval(), inputs
