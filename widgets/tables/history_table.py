"""Every finished run of a workload, newest first."""

from __future__ import annotations

from typing import ClassVar

import traitlets as t

from workbench.widgets._rows import RowsWidget
from workbench.widgets._twin import Twin

_TWIN = {
    "recipe": "recipe",
    "latency": "latency",
    "speedup": "speed-up",
    "quality": "quality",
    "change": "change",
    "size": "size",
    "when": "measured",
}
"""What the twin tells of a row, and how its column is headed."""


class HistoryTable(RowsWidget):
    """The button of a row sets :attr:`selected` to its id: that run is to be shown again."""

    _shared_scripts: ClassVar = ("_common", "_rows", "_row_actions")

    quality_heading = t.Unicode("quality", help="how the column of quality is headed").tag(sync=True)

    def twin(self) -> Twin | None:
        return Twin.of_columns("History", _TWIN | {"quality": self.quality_heading}, reversed(self.rows))
