"""How models of images learn: from images mirrored and shifted at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from workbench.models.zoo._base import Plan
from workbench.workload import Data


@dataclass(frozen=True)
class ImagePlan(Plan):
    """SGD with Nesterov momentum 0.9 on uint8 images [N, C, H, W], mirrored and shifted by up to ``shift`` pixels."""

    weight_decay: float = 5e-4
    batch: int = 128
    bf16: bool = True
    shift: int = 1

    def prepared(self, batch: Data) -> Data:
        return Data(augment(*batch.inputs, self.shift), batch.targets)

    def optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.SGD(groups, lr=self.peak_learning_rate, momentum=0.9, nesterov=True)


def augment(pixels: torch.Tensor, shift: int) -> torch.Tensor:
    """Turn uint8 [N, C, H, W] into float32 of the same shape in 0…1, channels last, from torch's global generator.

    Half of them are mirrored; each is shifted by up to ``shift`` pixels either way, what comes in being zero.
    """
    batch = pixels.float().div_(255)
    mirrored = torch.rand(len(batch)) < 0.5
    batch = torch.where(mirrored.view(-1, 1, 1, 1), batch.flip(3), batch)
    if not shift:
        return batch.contiguous(memory_format=torch.channels_last)
    height, width = batch.shape[2:]
    padded = functional.pad(batch, (shift,) * 4)
    rows = torch.randint(2 * shift + 1, (len(batch), 1, 1)) + torch.arange(height).view(1, -1, 1)
    columns = torch.randint(2 * shift + 1, (len(batch), 1, 1)) + torch.arange(width).view(1, 1, -1)
    images = padded[torch.arange(len(batch)).view(-1, 1, 1), :, rows, columns]
    return images.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
