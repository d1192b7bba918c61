"""Model files, one loader each. A new file here is all that a new format needs."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from workbench.models.loaders._base import Loader
from workbench.plumbing.registry import classes

__all__ = ["Loader", "find", "in_words", "registered"]


@cache
def registered() -> dict[str, Loader]:
    """Every loader by the suffix of its files."""
    found = classes(sys.modules[__name__], Loader, named_by="suffix")
    return {each.suffix: each() for each in sorted(found, key=lambda each: each.suffix)}


def find(path: Path | str) -> Loader | None:
    """The loader of such a file; ``None`` where its suffix is none of theirs."""
    return registered().get(Path(path).suffix.lower())


def in_words() -> str:
    """What there is: "a .onnx or .pt2 file"."""
    return f"a {' or '.join(registered())} file"
