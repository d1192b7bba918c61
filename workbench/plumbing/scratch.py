"""Temporary folders that don't outlive the process they are for, even when it is killed."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.plumbing.lock import try_lock

_REMOVAL_ATTEMPTS, _REMOVAL_PAUSE_SECONDS = 20, 0.05


class Scratch:
    """A folder for all that one child process and its children write temporarily.

    Beside it lies a file whose lock says that it is in use. It goes with :meth:`close`; what a
    killed process left is removed when the next one makes a folder of its own.

    Raises
    ------
    WorkbenchError
        No folder can be made: the disk is full, or nothing there can be written.
    """

    def __init__(self, purpose: str) -> None:
        root = Path(tempfile.gettempdir())
        _sweep(root)
        try:
            self._lock, self.path = _locked(root, purpose)
            self.path.mkdir(mode=0o700)
        except OSError as error:
            raise WorkbenchError(
                f"no temporary folder can be made in {root} ({error.strerror}); free some space or set TMPDIR"
            ) from error

    @property
    def descriptors(self) -> tuple[int, ...]:
        """To be passed on to a child that may outlive this process: the folder is then in use until both are gone."""
        return (self._lock.fileno(),) if os.name == "posix" else ()

    def environment(self) -> dict[str, str]:
        """What tells a child process to write its temporary files here."""
        return dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self.path))

    def close(self) -> None:
        """Remove it with all that is in it; the child must be gone. Its own children may still be going."""
        for _ in range(_REMOVAL_ATTEMPTS):
            shutil.rmtree(self.path, ignore_errors=True)
            if not self.path.exists():
                break
            time.sleep(_REMOVAL_PAUSE_SECONDS)
        self._lock.close()
        if not self.path.exists():
            _mark(self.path).unlink(missing_ok=True)


def _locked(root: Path, purpose: str):
    while True:  # a sweep that looks between the next two lines takes the file for a leftover; then another is made
        path = root / f"workbench-{purpose}-{secrets.token_hex(6)}"
        file = _mark(path).open("a+b")
        if try_lock(file):
            return file, path
        file.close()


def _sweep(root: Path) -> None:
    """Remove the folders whose process is gone. Other users' can't be opened and are left alone."""
    for mark in root.glob("workbench-*.alive"):
        try:
            with mark.open("r+b") as file:
                left_over = try_lock(file)
        except OSError:
            continue
        if left_over:
            shutil.rmtree(mark.with_suffix(""), ignore_errors=True)
            if not mark.with_suffix("").exists():
                mark.unlink(missing_ok=True)


def _mark(path: Path) -> Path:
    return path.with_suffix(".alive")
