"""Plotly's JavaScript, sent to the page once however many charts there are."""

from __future__ import annotations

import gzip
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import traitlets as t

from workbench.widgets._base import Widget
from workbench.widgets._only import the_only


class PlotlyLibrary(Widget):
    """Carries ``plotly.min.js`` of the installed plotly package, compressed. It draws nothing itself."""

    code = t.Bytes(help="plotly.min.js, gzip").tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(code=_compressed(), **traits)


def library() -> PlotlyLibrary:
    """The one of this kernel."""
    return the_only(PlotlyLibrary)


@cache
def _compressed() -> bytes:
    # finding the package without importing it: plotly's Python side is not needed in the kernel
    specification = importlib.util.find_spec("plotly")
    if specification is None or specification.origin is None:
        raise ModuleNotFoundError("plotly is not installed; install it with: pip install plotly")
    source = Path(specification.origin).parent / "package_data" / "plotly.min.js"
    return gzip.compress(source.read_bytes(), 6)
