"""What became of each layer: its time, size and error, and unfolded its receipt."""

from __future__ import annotations

from typing import ClassVar

import traitlets as t

from workbench.widgets._base import Widget
from workbench.widgets._twin import Twin
from workbench.widgets.page import layers

_TWIN = {
    "layer": "layer",
    "change": "number format",
    "weights": "weights",
    "time": "time, µs",
    "was": "was, µs",
    "error": "output error",
    "kernel": "kernel",
    "reality": "",
    "reason": "why",
}
"""What the twin tells of a row, and how its column is headed."""


class LayerTable(Widget):
    """One row for each layer. ``LayerTable(result=run.result())`` shows a finished run."""

    _shared_scripts: ClassVar = ("_common", "tables/_numbers")

    rows = t.List(t.Dict()).tag(sync=True)
    mark = t.Unicode(help='"stale" or "recalled" where the rows are of an earlier run').tag(sync=True)
    selected = t.Unicode(help="the layer whose row is unfolded; none where empty").tag(sync=True)

    schemes = t.Dict(help="what may be asked of the layer that is unfolded: page/layer_schemes.py").tag(sync=True)
    asked = t.Dict(help='what was, and when: {"layer": "fc1", "choice": "int8-static", "at": 0}').tag(sync=True)
    detail = t.Dict(help="the numbers of its weights, as page/numbers.py draws them, or a note").tag(sync=True)

    def __init__(self, result=None, **traits) -> None:
        super().__init__(**traits)
        if result is not None:
            self.rows = layers.rows(result.receipt)

    def twin(self) -> Twin | None:
        return Twin.of_columns("Layers", _TWIN, self.rows)
