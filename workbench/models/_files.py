"""What a file really is, told from its first bytes."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path

from workbench.errors import WorkloadError

STATE_DICTIONARIES = (".pt", ".pth", ".bin", ".ckpt")
"""The suffixes that files written by ``torch.save`` have."""
PICKLES = (*STATE_DICTIONARIES, ".pkl", ".pickle", ".joblib", ".tar")


def is_pickle(path: Path) -> bool:
    """Whether the file is, by its suffix or first bytes, a pickle."""
    head = b""
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(4)
    zipped = head == b"PK\x03\x04" and path.suffix not in (".pt2", ".onnx")
    return path.suffix.lower() in PICKLES or zipped or (head[:1] == b"\x80" and 2 <= head[1] <= 5)


def is_torchscript(path: Path) -> bool:
    """Whether the file is an archive that holds code, as ``torch.jit.save`` writes it."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.partition("/")[2].startswith("code/") for name in archive.namelist())


def refuse_pickle(path: Path) -> None:
    """Raise ``WorkloadError`` if the file is a pickle."""
    if is_pickle(path):
        raise WorkloadError(
            f"{path} is a pickle, which can run any code when it is loaded; where you trust it, store its weights "
            "with safetensors.torch.save_file(model.state_dict(), 'weights.safetensors') and give that file"
        )


def safetensors_header(path: Path) -> dict[str, dict]:
    """Read the header of a safetensors file: for each tensor its dtype, shape and place.

    The format is eight bytes with the header's length (little-endian), then JSON, then the values;
    see huggingface.co/docs/safetensors.

    Raises
    ------
    WorkloadError
        If the file is missing, a pickle, or no complete safetensors file.
    """
    if not path.is_file():
        raise WorkloadError(f"the weights {path} don't exist; give the path of a .safetensors file")
    refuse_pickle(path)
    size_bytes = path.stat().st_size
    broken = WorkloadError(
        f"{path} is not a complete safetensors file; store it again with safetensors.torch.save_file"
    )
    with path.open("rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 2 <= length <= size_bytes - 8:
            raise broken
        try:
            header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            complete = 8 + length + stored_bytes(header) == size_bytes
        except (ValueError, TypeError, AttributeError, KeyError, UnicodeDecodeError):
            raise broken from None
    if not complete:
        raise broken
    return header


def stored_bytes(header: dict[str, dict]) -> int:
    """The size of all values a safetensors header tells of."""
    return max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
