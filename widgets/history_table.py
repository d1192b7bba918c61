"""Every finished run of a workload, newest first."""

from __future__ import annotations

import traitlets as t

from workbench.widgets._rows import RowsWidget


class HistoryTable(RowsWidget):
    """The button of a row sets :attr:`selected` to its id: its recipe is wanted back."""

    selected = t.Int(help="the id of the row that is shown; 0 for none").tag(sync=True)
