"""The frame of the whole page: its layout, its landmarks and, where it is the page, its title."""

from __future__ import annotations

from workbench.widgets._base import Widget


class PageFrame(Widget):
    """Put into the Workbench's box; it names the parts for screen readers and carries the layout's rules."""
