"""Every finished run of a workload, newest first."""

from __future__ import annotations

from workbench.widgets._rows import RowsWidget


class HistoryTable(RowsWidget):
    """The button of a row sets :attr:`selected` to its id: its recipe is wanted back."""
