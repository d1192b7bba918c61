"""The receipt: what really happened to each layer, real or simulated, and why not where nothing did."""

from __future__ import annotations

import traitlets as t

from workbench.widgets._base import Widget
from workbench.widgets.page import views


class ReceiptView(Widget):
    """One row for each layer. ``ReceiptView(result=run.result())`` shows a finished run."""

    rows = t.List(t.Dict()).tag(sync=True)
    facts = t.List(help="[name, value] pairs about the machine and the versions").tag(sync=True)
    mark = t.Unicode(help='"stale" or "recalled" where the rows are of an earlier run').tag(sync=True)

    def __init__(self, result=None, **traits) -> None:
        super().__init__(**traits)
        if result is not None:
            self.rows = views.receipt(result.receipt)
            self.facts = views.facts(result.environment)
