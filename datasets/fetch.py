"""Fetching a file that isn't embedded: once, checked, into the user's cache folder."""

from __future__ import annotations

import http.client
import os
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import platformdirs

from workbench.errors import WorkloadError

Progress = Callable[[str, int, int], None]
"""Takes a file's name, the bytes so far and all bytes (0 where the server doesn't say)."""

_CHUNK_BYTES = 1 << 16
_TIMEOUT_SECONDS = 30


def cache_folder() -> Path:
    """The folder fetched data is kept in."""
    return Path(platformdirs.user_cache_dir("model-workbench"))


def bar(name: str, done_bytes: int, total_bytes: int) -> None:
    """Draw a progress bar on stderr, where that is a terminal; else say only when a file is complete."""
    share = done_bytes / total_bytes if total_bytes else 0.0
    megabytes = f"{done_bytes / 1e6:.1f} of {total_bytes / 1e6:.1f} MB" if total_bytes else f"{done_bytes / 1e6:.1f} MB"
    complete = done_bytes == total_bytes
    if sys.stderr.isatty():
        filled = round(30 * share)
        line = f"\r{name} [{'█' * filled}{'·' * (30 - filled)}] {megabytes}"
        print(line, end="\n" if complete else "", file=sys.stderr, flush=True)
    elif complete:
        print(f"{name}: {megabytes}", file=sys.stderr)


def download(address: str, path: Path, check: Callable[[Path], object], progress: Progress = bar) -> None:
    """Fetch ``address`` into ``path``, which appears only once it is complete and ``check`` accepted it.

    Parameters
    ----------
    check
        Takes the path of the fetched file, whose name is that of ``path``, and raises
        ``WorkloadError`` if it isn't what was wanted.

    Raises
    ------
    WorkloadError
        If the address can't be reached, the transfer breaks off, the folder can't be written, or
        ``check`` refuses the file.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            part = Path(folder) / path.name
            _transfer(address, part, progress)
            check(part)
            os.replace(part, path)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise WorkloadError(
            f"{address} can't be fetched ({reason}); try again, or give a folder with the files"
        ) from None
    except OSError as error:
        raise WorkloadError(f"{path} can't be written ({error}); free some space or choose another folder") from None


def _transfer(address: str, part: Path, progress: Progress) -> None:
    with urllib.request.urlopen(address, timeout=_TIMEOUT_SECONDS) as response, part.open("wb") as file:
        total = int(response.headers.get("Content-Length") or 0)
        done = 0
        while chunk := response.read(_CHUNK_BYTES):
            file.write(chunk)
            done += len(chunk)
            progress(part.name, done, total)
    if total and done < total:
        raise http.client.IncompleteRead(b"", total - done)
