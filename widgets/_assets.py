"""The text of a widget's ES module and stylesheet.

Modules of anywidget can't import each other, so the scripts they share are put in front of each. Stylesheets of a page
add up, so the rules that all widgets share are sent once: see ``_stylesheet.py``.
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
    """The own rules of the widget whose files are called ``name`` ("charts/latency_plot"); "" where it has none."""
    return _read(f"{name}.css") if (_FOLDER / f"{name}.css").exists() else ""


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8") + "\n"
