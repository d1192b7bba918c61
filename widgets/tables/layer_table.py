"""What became of each layer: its time, size and error."""

from __future__ import annotations

import traitlets as t

from workbench.widgets._base import Widget
from workbench.widgets.page import views


class LayerTable(Widget):
    """One row for each layer. ``LayerTable(result=run.result())`` shows a finished run."""

    rows = t.List(t.Dict()).tag(sync=True)
    mark = t.Unicode(help='"stale" or "recalled" where the rows are of an earlier run').tag(sync=True)

    def __init__(self, result=None, **traits) -> None:
        super().__init__(**traits)
        if result is not None:
            self.rows = views.layers(result.receipt)
