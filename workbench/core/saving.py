"""The folder that a model is saved to."""

from __future__ import annotations

import tempfile
from pathlib import Path

from workbench.errors import WorkbenchError


def require_writable(directory: Path | str) -> None:
    """Raise :class:`WorkbenchError` where no file can be written to the folder, or to the one it would be made in."""
    wanted = Path(directory).absolute()
    there = next(folder for folder in (wanted, *wanted.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise WorkbenchError(
            f"nothing can be saved in {str(directory)!r} ({error.strerror}); choose another folder"
        ) from None
