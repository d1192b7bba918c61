"""The frame of the whole page: its layout, its landmarks and, where it is the page, its title."""

from __future__ import annotations

import traitlets as t

from workbench.widgets._base import Widget


class PageFrame(Widget):
    """Put into the Workbench's box; it names the parts for screen readers and carries the layout's rules."""

    views = t.Int(0, help="how often a browser has drawn the page").tag(sync=True)
