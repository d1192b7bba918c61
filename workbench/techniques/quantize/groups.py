"""Which weights share a scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Groups:
    """The weights of each output channel, or of groups of its inputs.

    ``axis`` is the dimension of a weight that has the output channels, ``size`` how many inputs a group has at most;
    None: all of them.
    """

    axis: int = 0
    size: int | None = None

    def of(self, weight: torch.Tensor) -> torch.Tensor:
        """``weight`` as [outputs, groups, inputs of a group], filled with zeros at the end.

        As many groups as the size asks for, as even as they can be: filling takes memory.
        """
        channels = weight.movedim(self.axis, 0).flatten(1)
        inputs = channels.shape[1]
        groups = -(-inputs // (self.size or inputs))
        size = -(-inputs // groups)
        return torch.nn.functional.pad(channels, (0, -inputs % size)).view(len(channels), -1, size)

    def back(self, rows: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """What :meth:`of` gives, in the shape of ``like``."""
        shape = like.movedim(self.axis, 0).shape
        return rows.flatten(1)[:, : math.prod(shape[1:])].reshape(shape).movedim(0, self.axis)
