"""Quality against latency: every recipe measured so far, and which of them nothing beats."""

from __future__ import annotations

from typing import ClassVar

import traitlets as t

from workbench.widgets._rows import RowsWidget
from workbench.widgets.charts._chart import Chart
from workbench.widgets.charts.front import pareto_front


class ParetoPlot(Chart, RowsWidget):
    """Each row: ``{"id": 3, "ms": 0.021, "quality": 91.6, "figure": "91.60", "batch": 1, "label": "int8 · native"}``.

    ``quality`` is in the unit that :attr:`metric` names, and ``figure`` the same in digits. All are by that metric;
    where the lower ones are better, the axis is reversed: what is better is above.

    ``ms`` is the time of a call of ``batch`` inputs. Only rows of the plot's :attr:`batch` compete: a call that serves
    64 inputs isn't beaten by a shorter one that serves a single input. The others are shown pale.

    A click on a point sets :attr:`selected` to its id; so does its button in the table twin.
    """

    _shared_scripts: ClassVar = ("_common", "charts/_chart", "_rows")

    current = t.Dict(help="the run under way: ms, quality, figure, label; empty without one").tag(sync=True)
    baseline = t.Dict(help="the plain model: ms, quality, figure, label").tag(sync=True)
    metric = t.Dict(help="how quality is called, and which is better; empty until that is known").tag(sync=True)
    batch = t.Int(1, help="inputs of one call of the rows that compete").tag(sync=True)
    front = t.List(t.Int(), help="ids of the competing rows that no other beats, fastest first").tag(sync=True)

    @t.observe("rows", "batch", "metric")
    def _find_front(self, _change: t.Bunch) -> None:
        competing = (row for row in self.rows if row["batch"] == self.batch)
        points = ((row["id"], row["ms"], row["quality"]) for row in competing)
        self.front = pareto_front(points, self.metric.get("better", "higher"))
