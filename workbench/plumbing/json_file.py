"""Small things kept in the user's data directory that can be measured again: losing them costs nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from pathlib import Path
from typing import Any


def read(path: Path) -> Any:
    """What the file holds; ``None`` where it can't be read or is no JSON."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def write(path: Path, value: Any) -> None:
    """Replace the file in one go; where that can't be done, nothing happens."""
    landing = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            landing.write_text(json.dumps(value))
            os.replace(landing, path)
        finally:  # half of it may be there, on a disk that is full
            landing.unlink(missing_ok=True)
