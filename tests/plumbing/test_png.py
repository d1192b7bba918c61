from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from workbench.plumbing import png


def decoded(file: bytes) -> tuple[tuple[int, ...], bytes]:
    """Width, height, depth and colour type of a PNG of one IDAT chunk, and its unpacked rows."""
    assert file.startswith(b"\x89PNG\r\n\x1a\n")
    at, chunks = 8, {}
    while at < len(file):
        length, kind = struct.unpack(">I4s", file[at : at + 8])
        data = file[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack(">I", file[at + 8 + length : at + 12 + length])
        assert checksum == zlib.crc32(kind + data)
        chunks[kind], at = data, at + 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    return struct.unpack(">2I2B", chunks[b"IHDR"][:10]), zlib.decompress(chunks[b"IDAT"])


@pytest.mark.parametrize(("shape", "colour_type"), [((2, 3), 0), ((2, 3, 3), 2)])
def test_pixels_come_back_as_they_were(shape, colour_type):
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    header, rows = decoded(png.encoded(pixels))
    assert header == (3, 2, 8, colour_type)
    unpacked = np.frombuffer(rows, np.uint8).reshape(2, -1)
    assert (unpacked[:, 0] == 0).all()
    assert (unpacked[:, 1:] == pixels.reshape(2, -1)).all()


def test_a_page_can_hold_it():
    assert png.data_uri(np.zeros((1, 1), np.uint8)).startswith("data:image/png;base64,iVBOR")
