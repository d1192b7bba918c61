"""The text of a widget's ES module and stylesheet: the shared helpers, then its own file.

Modules of anywidget can't import each other, so what they share is put in front of each.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent


@cache
def javascript(*names: str) -> str:
    """One ES module: the shared scripts, then the widget's own."""
    return "".join(_read(f"{name}.js") for name in names)


@cache
def stylesheet(name: str) -> str:
    """The stylesheet of the widget whose files are called ``name`` ("charts/latency_plot"); shared rules come first."""
    return _read("_common.css") + (_read(f"{name}.css") if (_FOLDER / f"{name}.css").exists() else "")


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8") + "\n"
