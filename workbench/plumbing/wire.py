"""How a session and its worker talk: length-prefixed messages over the child's own two pipes.

A message is a JSON object and, beside it, raw bytes. Only the parent ever sends pickled bytes, and
only to its own child.
"""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO

_HEADER = struct.Struct("<QQ")


def send(stream: BinaryIO, message: dict[str, Any], blob: bytes = b"") -> None:
    """Write one message. Raises ``OSError`` when the other end is gone."""
    text = json.dumps(message).encode()
    stream.write(_HEADER.pack(len(text), len(blob)) + text)
    if blob:
        stream.write(blob)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict[str, Any], bytes]:
    """Read one message, waiting for it. Raises ``EOFError`` when the other end is gone."""
    text_size, blob_size = _HEADER.unpack(_exactly(stream, _HEADER.size))
    return json.loads(_exactly(stream, text_size)), _exactly(stream, blob_size)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = stream.read(size - len(parts))
        if not part:
            raise EOFError("the other end closed the pipe")
        parts += part
    return bytes(parts)
