"""The frame of the whole page: its layout, its landmarks and, where it is the page, its title."""

from __future__ import annotations

from typing import ClassVar
from uuid import uuid4

import traitlets as t

from workbench.widgets._base import Widget


class PageFrame(Widget):
    """Put into the Workbench's box; it names the parts for screen readers and carries the layout's rules.

    It says so when the kernel is gone. Where it is the page it keeps :attr:`kept` in the address: a page that is loaded
    anew, or opened by a link, shows what that says.
    """

    _shared_scripts: ClassVar = ("_common", "page/_link", "page/_sheet")

    kept = t.Dict(help="workload, recipe and baseline that are shown").tag(sync=True)
    restored = t.Dict(help="what the address asks for; empty where it asks for nothing").tag(sync=True)
    views = t.Int(0, help="how often a browser has drawn the page").tag(sync=True)
    twin_class = t.Unicode(help="the class of what a saved notebook keeps of the page; not seen beside it").tag(
        sync=True
    )

    @t.default("twin_class")
    def _own_class(self) -> str:
        return f"wb-twin-{uuid4().hex}"
