"""The footer: what goes on, Cancel, notices and errors."""

from __future__ import annotations

import traitlets as t

from workbench.widgets._base import Widget
from workbench.widgets.page import state, views


class RunProgress(Widget):
    """What the run does now.

    Pressing Cancel counts :attr:`cancels` up, “Measure again” :attr:`repeats`, “Take the best so far” :attr:`takes`.
    """

    view = t.Dict().tag(sync=True)
    cancels = t.Int(help="how often Cancel was pressed").tag(sync=True)
    takes = t.Int(help="how often “Take the best so far” was pressed").tag(sync=True)
    repeats = t.Int(help="how often “Measure again” was pressed").tag(sync=True)

    @t.default("view")
    def _default_view(self) -> dict:
        return views.progress(state.PageState())
