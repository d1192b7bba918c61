"""Small pictures as PNG, for pages and reports.

Source: W3C, "Portable Network Graphics (PNG) Specification (Third Edition)", sections 5 and 11.2.
"""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2
"""Colour types."""


def data_uri(pixels: np.ndarray) -> str:
    """``pixels``, uint8 [H, W] (grey) or [H, W, 3] (red, green, blue), as a "data:" URI."""
    return f"data:image/png;base64,{base64.b64encode(encoded(pixels)).decode('ascii')}"


def encoded(pixels: np.ndarray) -> bytes:
    """The file of ``pixels``, uint8 [H, W] (grey) or [H, W, 3] (red, green, blue)."""
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    unfiltered = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)
    header = struct.pack(">2I5B", width, height, 8, _GREY if pixels.ndim == 2 else _RGB, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(unfiltered.tobytes(), 9)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
