"""Weights of one to seven bits, as many in a byte as there is room for: how they are stored and read again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


def dequantize_groups(
    packed: torch.Tensor, scales: torch.Tensor, bits: int, group_size: int, inputs: int
) -> torch.Tensor:
    """Weights float32 [outputs, inputs] from ``bits`` bits each: a function that graphs call.

    ``packed`` is uint8 [outputs, groups, ⌈group size · bits / 8⌉], as :func:`unpacked_groups` reads it; ``scales`` is
    float32 [outputs, groups].
    """
    weights = unpacked_groups(packed, bits, group_size).float() * scales.unsqueeze(-1)
    return weights.flatten(1)[:, :inputs]


def dequantize_floats(stored: torch.Tensor, scales: torch.Tensor, axis: int) -> torch.Tensor:
    """Weights float32 from floats of eight bits, whose channels lie along ``axis``: a function that graphs call.

    ``scales`` is float32 [channels]. PyTorch's own operation for integers multiplies no floats of eight bits.
    """
    along = [1] * stored.dim()
    along[axis] = -1
    return stored.float() * scales.view(along)


def packed_groups(weights: torch.Tensor, bits: int) -> torch.Tensor:
    """What :func:`unpacked_groups` reads: uint8 of whole numbers [outputs, groups, group size] of ``bits`` bits."""
    codes = (weights > 0 if bits == 1 else weights + 2 ** (bits - 1)).to(torch.uint8)
    stream = (codes.unsqueeze(-1) >> _places(bits) & 1).flatten(2)
    stream = torch.nn.functional.pad(stream, (0, -stream.shape[-1] % 8)).unflatten(2, (-1, 8))
    return (stream << _places(8)).sum(-1, dtype=torch.uint8)


def unpacked_groups(packed: torch.Tensor, bits: int, group_size: int) -> torch.Tensor:
    """Int8 [outputs, groups, group size] of ``bits`` bits each, from −2^(bits − 1) on; of one bit −1 and 1.

    The weights of a group follow each other from the lowest bits of its first byte on, each as its distance from the
    least number of its width, and of one bit as whether it is 1.
    """
    first = torch.arange(group_size) * bits
    bytes_ = torch.nn.functional.pad(packed, (0, 1)).to(torch.int16)  # the last weight may end with its byte
    pairs = bytes_[..., first // 8] | bytes_[..., first // 8 + 1] << 8
    codes = (pairs >> (first % 8).to(torch.int16) & (2**bits - 1)).to(torch.int8)
    return 2 * codes - 1 if bits == 1 else codes - 2 ** (bits - 1)


def packed_bytes(channels: int, weights: int, bits: int) -> int:
    """What ``weights`` of so many bits take, those of each of the ``channels`` in bytes of their own."""
    return channels * -(-weights // channels * bits // 8)


def packed_channels(weights: torch.Tensor, axis: int, bits: int) -> torch.Tensor:
    """What :func:`unpacked_channels` reads: uint8 [channels, bytes of a channel] of whole numbers."""
    return packed_groups(weights.movedim(axis, 0).flatten(1).unsqueeze(1), bits).squeeze(1)


def unpacked_channels(packed: torch.Tensor, axis: int, bits: int, shape: list[int]) -> torch.Tensor:
    """Int8 of ``shape``, whose channels lie along ``axis``."""
    channels, *others = [shape[axis], *shape[:axis], *shape[axis + 1 :]]
    numbers = unpacked_groups(packed.unsqueeze(1), bits, math.prod(others))
    return numbers.reshape(channels, *others).movedim(0, axis)


def _places(count: int) -> torch.Tensor:
    return torch.arange(count, dtype=torch.uint8)
