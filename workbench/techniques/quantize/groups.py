"""Which weights share a scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from workbench.precisions import Floats, Integers


@dataclass(frozen=True)
class Groups:
    """The weights of each output channel, of groups of its inputs, or of the ``whole`` layer.

    ``axis`` is the dimension of a weight that has the output channels, ``size`` how many inputs a group has at most;
    None: all of them.
    """

    axis: int = 0
    size: int | None = None
    whole: bool = False

    @classmethod
    def sharing(cls, formats: Integers | Floats, axis: int, group_size: int) -> Groups:
        """Those that have a scale in these number formats."""
        return cls(axis, group_size if formats.scales == "group" else None, formats.scales == "tensor")

    def of(self, weight: torch.Tensor) -> torch.Tensor:
        """``weight`` as [outputs, groups, inputs of a group], filled with zeros at the end; [1, 1, weights] if whole.

        As many groups as the size asks for, as even as they can be: filling takes memory.
        """
        channels = weight.movedim(self.axis, 0).flatten(1)
        if self.whole:
            return channels.reshape(1, 1, -1)
        inputs = channels.shape[1]
        groups = -(-inputs // (self.size or inputs))
        size = -(-inputs // groups)
        return torch.nn.functional.pad(channels, (0, -inputs % size)).view(len(channels), -1, size)

    def back(self, rows: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """What :meth:`of` gives, in the shape of ``like``."""
        shape = like.movedim(self.axis, 0).shape
        return rows.flatten(1)[:, : math.prod(shape) // len(rows)].reshape(shape).movedim(0, self.axis)

    def by_channel(self, scales: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """A scale for each output channel of ``like``, [outputs]: its own of ``scales`` [outputs, 1], or the whole's.

        Kernels take one for each, so what the whole layer shares is repeated.
        """
        return scales.flatten().expand(like.shape[self.axis])
