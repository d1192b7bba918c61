"""The receipt: what really happened to each layer, real or simulated, and why not where nothing did."""

from __future__ import annotations

import traitlets as t

from workbench.widgets._base import Widget
from workbench.widgets._twin import Twin
from workbench.widgets.page import layers, views

_TWIN = {
    "layer": "layer",
    "op": "kind",
    "before": "before",
    "after": "after",
    "compute": "computed in",
    "kernel": "kernel",
    "reality": "",
    "reason": "why",
}
"""What the twin tells of a row, and how its column is headed."""


class ReceiptView(Widget):
    """One row for each layer. ``ReceiptView(result=run.result())`` shows a finished run."""

    rows = t.List(t.Dict()).tag(sync=True)
    facts = t.List(help="[name, value] pairs about the machine and the versions").tag(sync=True)
    mark = t.Unicode(help='"stale" or "recalled" where the rows are of an earlier run').tag(sync=True)

    def __init__(self, result=None, **traits) -> None:
        super().__init__(**traits)
        if result is not None:
            self.rows = layers.receipt(result.receipt)
            self.facts = views.facts(result.environment)

    def twin(self) -> Twin | None:
        return Twin.of_columns("Receipt", _TWIN, self.rows)
