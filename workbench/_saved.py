"""The folder that a model is saved to."""

from __future__ import annotations

import tempfile
from pathlib import Path

from workbench.errors import WorkbenchError


def require_writable(directory: Path | str) -> None:
    """Make the folder where there is none, and raise :class:`WorkbenchError` where no file can be written to it."""
    try:
        Path(directory).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise WorkbenchError(
            f"nothing can be saved in {str(directory)!r} ({error.strerror}); choose another folder"
        ) from None
