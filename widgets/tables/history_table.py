"""Every finished run of a workload, newest first."""

from __future__ import annotations

import traitlets as t

from workbench.widgets._rows import RowsWidget


class HistoryTable(RowsWidget):
    """The button of a row sets :attr:`selected` to its id: its recipe is wanted back."""

    quality_heading = t.Unicode("quality", help="how the column of quality is headed").tag(sync=True)
