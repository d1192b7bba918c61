"""Tabs over the widgets that follow in the same box, switched in the browser."""

from __future__ import annotations

import traitlets as t
from ipywidgets import VBox

from workbench.widgets._base import Widget


class TabStrip(Widget):
    """The tabs themselves. The widgets after it in its box are their panels, in the same order."""

    titles = t.List(t.Unicode()).tag(sync=True)
    selected = t.Int(0, help="the index of the open one").tag(sync=True)
    label = t.Unicode(help="what the tabs are about, for screen readers").tag(sync=True)
    hidden = t.List(t.Int(), help="indices of tabs that have nothing to show now").tag(sync=True)


class Tabs(VBox):
    """Widgets behind tabs.

    Parameters
    ----------
    label
        What the tabs are about, for screen readers.
    panels
        By title, in order.
    """

    def __init__(self, label: str, panels: dict[str, object], hidden: tuple[int, ...] = ()) -> None:
        self.strip = TabStrip(titles=list(panels), label=label, hidden=list(hidden))
        super().__init__([self.strip, *panels.values()])
        self.add_class("wb-tabs")

    def is_open(self, panel: object) -> bool:
        """Whether this is the panel that can be seen."""
        return self.children[1 + self.strip.selected] is panel
