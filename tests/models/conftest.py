import pytest
import torch
from torch import nn


class TwoLayers(nn.Module):
    """A small classifier of 3×4×4 images into five classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.fc = nn.Linear(64, 5)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.relu(self.conv(inputs)).flatten(1))


def two_layers() -> nn.Module:
    """A factory, as a user's module would have it."""
    return TwoLayers()


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return TwoLayers().eval()


@pytest.fixture
def data() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(20, 3, 4, 4, generator=generator), torch.arange(20) % 5
