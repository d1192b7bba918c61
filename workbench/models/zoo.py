"""The embedded models' architectures: float32 images [N, 1, 28, 28] in 0…1 to logits [N, 10]."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


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


class FashionCNN(nn.Module):
    """Two 3×3 convolutions of 16 and 32 channels, two poolings, two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(32 * 7 * 7, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.pool(functional.relu(self.conv1(images)))
        features = self.pool(functional.relu(self.conv2(features)))
        return self.fc2(functional.relu(self.fc1(features.flatten(1))))


class FashionStudent(nn.Module):
    """Two 3×3 convolutions of 8 and 16 channels, two poolings, one linear layer: small enough to distill into."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(16 * 7 * 7, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.pool(functional.relu(self.conv1(images)))
        features = self.pool(functional.relu(self.conv2(features)))
        return self.fc1(features.flatten(1))


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut, which is a 1×1 convolution where the shape changes."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        same = stride == 1 and channels_in == channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels_in, channels, 1, stride=stride)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        inner = functional.relu(self.bn1(self.conv1(features)))
        return functional.relu(self.bn2(self.conv2(inner)) + self.shortcut(features))


class FashionResNet8(nn.Module):
    """The ResNet-8 of MLPerf Tiny: three residual blocks of 16, 32 and 64 channels.

    With one input channel in place of three. Source: Banbury et al., "MLPerf Tiny Benchmark",
    arXiv:2106.07597.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.block1 = ResidualBlock(16, 16, stride=1)
        self.block2 = ResidualBlock(16, 32, stride=2)
        self.block3 = ResidualBlock(32, 64, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = functional.relu(self.bn1(self.conv1(images)))
        features = self.block3(self.block2(self.block1(features)))
        return self.fc(self.pool(features).flatten(1))


ARCHITECTURES: dict[str, type[nn.Module]] = {
    "fashion-cnn": FashionCNN,
    "fashion-mlp": FashionMLP,
    "fashion-resnet8": FashionResNet8,
    "fashion-student": FashionStudent,
}
