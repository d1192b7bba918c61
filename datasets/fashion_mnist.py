"""Fashion-MNIST: grey 28×28 images of clothes in ten classes, embedded in part and fetched in full.

Source: Xiao, Rasul and Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
Learning Algorithms", arXiv:1708.07747.
"""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np

from workbench.datasets.cards import FOLDER
from workbench.datasets.fetch import Progress, bar, cache_folder, download
from workbench.errors import WorkloadError

CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
ADDRESS = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"

DECODED_SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
"""The sha256 of each original file after gzip: mirrors compress differently, the contents are the same."""

Examples = tuple[np.ndarray, np.ndarray]
"""Images uint8 [N, 28, 28] and labels uint8 [N]."""


EMBEDDED = FOLDER / "fashion-mnist"
PARTS = {"train": "train-part", "test": "t10k"}


def test() -> Examples:
    """The whole test set: 10,000 images, in the original order."""
    return _embedded("test")


def train() -> Examples:
    """The embedded training part: the first 2,000 images of each class, in the original order."""
    return _embedded("train")


def full(source: str | Path | None = None, *, cache: Path | None = None, progress: Progress = bar) -> Examples:
    """The 60,000 training images.

    Parameters
    ----------
    source
        A folder with the original files (gzipped or not), one of those files, or an http address to
        fetch them from. Without it the cache, and where that is empty the official address.
    cache
        The folder fetched files are kept in; the user's cache folder by default.
    progress
        Told of each piece that arrives; draws a bar by default.

    Raises
    ------
    WorkloadError
        If a file is missing, can't be fetched, or isn't the original.
    """
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
    if source is None or str(source).startswith(("http://", "https://")):
        folder, address = cache or cache_folder() / "fashion-mnist", str(source or ADDRESS).rstrip("/")
        images, labels = (_cached(name, address, folder, progress) for name in names)
    else:
        images, labels = (read_original(_find(Path(source), name)) for name in names)
    return images, labels


def read_original(path: Path) -> np.ndarray:
    """Read one of the four original files, gzipped or not, and check that it is the original.

    Raises
    ------
    WorkloadError
        If it can't be read or its contents differ from the original's.
    """
    name = path.name.removesuffix(".gz")
    try:
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise WorkloadError(f"{path} can't be read ({error}); fetch it again from {ADDRESS}/{name}.gz") from None
    found, expected = hashlib.sha256(content).hexdigest(), DECODED_SHA256[name]
    if found != expected:
        raise WorkloadError(
            f"{path} is not the original: its contents have sha256 {found[:12]}…, not {expected[:12]}…; "
            f"fetch it again from {ADDRESS}/{name}.gz"
        )
    return decode(content)


def decode(content: bytes) -> np.ndarray:
    """Turn an IDX file of unsigned bytes into an array; the format is described on the MNIST page.

    Two zero bytes, the type (8: unsigned byte), the number of dimensions, each dimension as a
    big-endian 32-bit number, then the values.
    """
    dimensions = content[3]
    shape = struct.unpack_from(f">{dimensions}I", content, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def encode(values: np.ndarray) -> bytes:
    """Turn an array of unsigned bytes into an IDX file: the inverse of :func:`decode`."""
    return bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def _cached(name: str, address: str, folder: Path, progress: Progress) -> np.ndarray:
    path = folder / f"{name}.gz"
    if path.is_file():
        try:
            return read_original(path)
        except WorkloadError:  # a damaged file in the cache is simply fetched again
            path.unlink()
    download(f"{address}/{name}.gz", path, check=read_original, progress=progress)
    return read_original(path)


def _find(source: Path, name: str) -> Path:
    folder = source.parent if source.is_file() else source
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    raise WorkloadError(f"{folder} has no {name}.gz; download it from {ADDRESS}/{name}.gz into that folder")


def _embedded(part: str) -> Examples:
    images, labels = (
        decode(gzip.decompress((EMBEDDED / f"{PARTS[part]}-{kind}-ubyte.gz").read_bytes()))
        for kind in ("images-idx3", "labels-idx1")
    )
    return images, labels
