"""The frame of the whole page: its layout, its landmarks and, where it is the page, its title."""

from __future__ import annotations

import traitlets as t

from workbench.widgets._base import Widget


class PageFrame(Widget):
    """Put into the Workbench's box; it names the parts for screen readers and carries the layout's rules.

    It says so when the kernel is gone, and keeps :attr:`kept` in the browser's tab, so that a page that is loaded anew
    shows what it showed.
    """

    kept = t.Dict(help="workload, recipe and baseline that are shown").tag(sync=True)
    restored = t.Dict(help="what the tab had kept of the page before this one; empty where nothing").tag(sync=True)
    views = t.Int(0, help="how often a browser has drawn the page").tag(sync=True)
