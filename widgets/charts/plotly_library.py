"""Plotly's JavaScript, sent to a browser once however many charts and visits there are."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import traitlets as t

from workbench.widgets._base import Widget
from workbench.widgets._only import the_only


class PlotlyLibrary(Widget):
    """Gives the page ``plotly.min.js`` of the installed plotly package. It draws nothing itself.

    A browser that has kept the code from an earlier visit knows it by its ``digest``; another asks for it with a
    message and is answered with the code, gzip.
    """

    digest = t.Unicode(help="sha256 of plotly.min.js, in hexadecimal digits").tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(digest=hashlib.sha256(_source().read_bytes()).hexdigest(), **traits)
        self.on_msg(self._on_message)

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if content == {"send": "code"}:
            self.send({"sent": "code"}, buffers=[_compressed()])


def library() -> PlotlyLibrary:
    """The one of this kernel."""
    return the_only(PlotlyLibrary)


def _source() -> Path:
    # finding the package without importing it: plotly's Python side is not needed in the kernel
    specification = importlib.util.find_spec("plotly")
    if specification is None or specification.origin is None:
        raise ModuleNotFoundError("plotly is not installed; install it with: pip install plotly")
    return Path(specification.origin).parent / "package_data" / "plotly.min.js"


@cache
def _compressed() -> bytes:
    return gzip.compress(_source().read_bytes(), 6)
