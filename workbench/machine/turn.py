"""One measurement at a time on a machine, whichever process makes it."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from workbench.plumbing.lock import try_lock, unlock


@contextlib.contextmanager
def measuring(
    directory: Path | str, waiting: Callable[[], None] = lambda: None, poll_s: float = 0.05
) -> Iterator[Path]:
    """Hold this machine's turn to measure: other processes that ask meanwhile wait. Yields the lock file.

    The system gives the turn back when the process ends, however it ends.

    Parameters
    ----------
    directory
        The user's data directory. Where it can't be written, the system's temporary directory stands in.
    waiting
        Called every ``poll_s`` seconds while another process has the turn: to say so, or to raise
        :class:`workbench.errors.Cancelled`.
    """
    with _open_lock(Path(directory)) as file:
        while not try_lock(file):
            waiting()
            time.sleep(poll_s)
        _our_turns.append(file.name)
        try:
            yield Path(file.name)
        finally:
            _our_turns.pop()
            unlock(file)


_our_turns: list[str] = []


def others_are_measuring(directory: Path | str) -> bool:
    """Whether another process has the turn to measure now: time to keep quiet. ``directory`` as in :func:`measuring`.

    Costs one try at the lock, some microseconds.
    """
    if _our_turns:
        return False
    with _open_lock(Path(directory)) as file:
        free = try_lock(file)
        if free:
            unlock(file)
    return not free


def keep_quiet(directory: Path | str, checkpoint: Callable[[], None], poll_s: float = 0.05) -> None:
    """Wait as long as another process has the turn; ``checkpoint`` is called at first and every ``poll_s`` seconds."""
    checkpoint()
    while others_are_measuring(directory):
        time.sleep(poll_s)
        checkpoint()


def _open_lock(directory: Path) -> IO[bytes]:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return (directory / "measuring.lock").open("a+b")
    except OSError:
        user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
        return (Path(tempfile.gettempdir()) / f"workbench-measuring-{user}.lock").open("a+b")
