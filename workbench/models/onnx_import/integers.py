"""Weights that a file holds as bytes stay bytes, in layers that make floats of them at each call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
import torch.ao.quantization.fx._decomposed  # makes the operations that graphs name
from torch import nn

DEQUANTIZE = torch.ops.quantized_decomposed.dequantize_per_channel.default
RANGE = (-128, 127, torch.int8)
_HALF = 128
"""A uint8 less this is an int8, and its zero point as well."""


@dataclass(frozen=True)
class Integers:
    """A constant that stands for (values − zero points) · scales.

    ``values`` is int8; ``scales`` float32 and ``zero_points`` int64 hold one number for each index of ``axis``.
    """

    values: np.ndarray
    scales: np.ndarray
    zero_points: np.ndarray
    axis: int

    @classmethod
    def of(cls, values: np.ndarray, scales: np.ndarray, zero_points: np.ndarray | None, axis: int) -> Integers:
        """From int8 or uint8 and one scale, or one for each index of ``axis``."""
        axis = axis % values.ndim if scales.size > 1 else 0
        half = _HALF if values.dtype == np.uint8 else 0
        zeros = np.zeros(1) if zero_points is None else zero_points
        return cls(
            (values.astype(np.int16) - half).astype(np.int8),
            np.broadcast_to(scales.astype(np.float32).ravel(), values.shape[axis]),
            np.broadcast_to(zeros.astype(np.int64).ravel() - half, values.shape[axis]),
            axis,
        )

    def transposed(self, order: Sequence[int]) -> Integers:
        """With its dimensions in this order."""
        if self._is_uniform:
            return Integers.of(self.values.transpose(order), self.scales[:1], self.zero_points[:1], 0)
        return replace(self, values=self.values.transpose(order), axis=list(order).index(self.axis))

    def tensors(self) -> dict[str, torch.Tensor]:
        """What to keep: the bytes as "int8", "scale" and "zero_point"."""
        parts = {"int8": self.values, "scale": self.scales, "zero_point": self.zero_points}
        return {name: torch.from_numpy(np.array(part, order="C")) for name, part in parts.items()}

    @property
    def _is_uniform(self) -> bool:
        return bool((self.scales == self.scales[0]).all() and (self.zero_points == self.zero_points[0]).all())

    @cached_property
    def floats(self) -> np.ndarray:
        """What it stands for, float32."""
        tensors = self.tensors()
        return DEQUANTIZE(tensors["int8"], tensors["scale"], tensors["zero_point"], self.axis, *RANGE).numpy()


class _OfIntegers:
    """A layer of torch's with bytes for a weight."""

    @property
    def weight(self) -> torch.Tensor:
        return DEQUANTIZE(self.weight_int8, self.weight_scale, self.weight_zero_point, self.weight_axis, *RANGE)


_LAYERS = {
    kind: type(f"Quantized{kind.__name__}", (_OfIntegers, kind), {})
    for kind in (
        nn.Linear,
        nn.Conv1d,
        nn.Conv2d,
        nn.Conv3d,
        nn.ConvTranspose1d,
        nn.ConvTranspose2d,
        nn.ConvTranspose3d,
    )
}
"""Torch's own layers, whose forward asks for ``weight``."""


def of_integers(layer: nn.Module, weight: Integers) -> nn.Module:
    """The layer, which has the same weight in floats, with these bytes in its place."""
    del layer.weight
    layer.__class__ = _LAYERS[type(layer)]
    tensors = weight.tensors()
    layer.weight_int8 = nn.Parameter(tensors["int8"], requires_grad=False)
    layer.register_buffer("weight_scale", tensors["scale"])
    layer.register_buffer("weight_zero_point", tensors["zero_point"])
    layer.weight_axis = weight.axis
    return layer
