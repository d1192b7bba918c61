"""Formats of models, one loader each. A new file here is all that a new format needs."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

from workbench.models.loaders._base import FileLoader, Loader, Tokenizer
from workbench.plumbing.registry import classes

__all__ = ["FileLoader", "Loader", "Tokenizer", "adopted", "find", "in_words", "registered"]


@cache
def registered() -> tuple[Loader, ...]:
    """Every loader, by title."""
    found = classes(sys.modules[__name__], Loader, named_by="title")
    return tuple(each() for each in sorted(found, key=lambda each: each.title))


def find(path: Path | str) -> Loader | None:
    """The loader that reads this path; ``None`` where none does."""
    return next((loader for loader in registered() if loader.reads(Path(path))), None)


def adopted(model: Any) -> Any:
    """A model given in Python, as plain layers of torch where a loader's library made it; else as it is."""
    for loader in registered():
        model = loader.adopted(model)
    return model


def in_words() -> str:
    """What there is: "a .pt2 file or an .onnx file"."""
    *others, last = (loader.title for loader in registered())
    return f"{', '.join(others)} or {last}"
