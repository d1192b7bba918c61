"""Quality against latency: every recipe measured so far, and which of them nothing beats."""

from __future__ import annotations

from typing import Any, ClassVar

import traitlets as t

from workbench.widgets._rows import RowsWidget
from workbench.widgets._twin import Twin
from workbench.widgets.charts._chart import Chart
from workbench.widgets.charts.frame import frame_of
from workbench.widgets.charts.front import pareto_front


class ParetoPlot(Chart, RowsWidget):
    """Each row: ``{"id": 3, "ms": 0.021, "quality": 91.6, "figure": "91.60", "batch": 1, "label": "int8 · native"}``.

    ``quality`` is in the unit that :attr:`metric` names, and ``figure`` the same in digits. All are by that metric;
    where the lower ones are better, the axis is reversed: what is better is above. ``ms_ends`` and ``quality_ends``
    may give the ends of their 95 % intervals, ``told_ms``, ``told_ms_ends`` and ``told_quality_ends`` the same in
    digits.

    ``ms`` is the time of a call of ``batch`` inputs. Only rows of the plot's :attr:`batch` compete: a call that serves
    64 inputs isn't beaten by a shorter one that serves a single input. The others are shown pale.

    A click on a point sets :attr:`selected` to its id; so does its button in the table twin. :attr:`pinned` rows are
    labelled and have error bars, :attr:`hidden` ones don't take part.
    """

    _shared_scripts: ClassVar = (
        *("_common", "charts/_chart", "_rows", "_row_actions"),
        *("charts/_pareto_scale", "charts/_pareto_marks", "charts/_pareto_labels", "charts/_pareto_legend"),
        *("charts/_pareto_twin", "charts/_pareto_zoom", "charts/_pareto_point"),
    )

    current = t.Dict(help="the run under way: ms, quality, figure, label; empty without one").tag(sync=True)
    baseline = t.Dict(help="the plain model: ms, quality, figure, label").tag(sync=True)
    metric = t.Dict(help="how quality is called, and which is better; empty until that is known").tag(sync=True)
    accepted = t.Dict(help="the worst quality that is accepted, and that in words; empty until known").tag(sync=True)
    batch = t.Int(1, help="inputs of one call of the rows that compete").tag(sync=True)
    front = t.List(t.Int(), help="ids of the competing rows that no other beats, fastest first").tag(sync=True)
    repeats = t.Int(help="how often “Measure again” was pressed at a point")
    frame = t.Dict(help="what the axes show, ms and quality from low to high; what is beyond is parked").tag(sync=True)

    @t.observe("rows", "batch", "metric", "hidden")
    def _find_front(self, _change: t.Bunch) -> None:
        points = ((row["id"], row["ms"], row["quality"]) for row in self._competing())
        self.front = pareto_front(points, self.metric.get("better", "higher"))

    @t.observe("rows", "batch", "metric", "hidden", "current", "baseline", "accepted")
    def _find_frame(self, _change: t.Bunch) -> None:
        competing = self._competing() or self._visible()
        points = [(point["ms"], point["quality"]) for point in (*competing, self.current) if point]
        baseline = (self.baseline["ms"], self.baseline["quality"]) if self.baseline else None
        found = frame_of(points, baseline, self.accepted.get("bound"), self.metric.get("least_margin", 0))
        self.frame = {"ms": list(found.ms), "quality": list(found.quality)} if found else {}

    def twin(self) -> Twin | None:
        heading = self.metric.get("axis", "quality")
        head = ("recipe", "latency, ms", heading, "inputs of a call", "")
        rows = [
            (
                row["label"],
                row.get("told_ms", f"{row['ms']:.3g}"),
                row["figure"],
                row["batch"],
                "front" if row["id"] in self.front else "",
            )
            for row in sorted(self._visible(), key=lambda row: row["ms"])
        ]
        return Twin.of("Quality against latency", head, rows) if rows else None

    def _competing(self) -> list[dict[str, Any]]:
        return [row for row in self._visible() if row["batch"] == self.batch]

    def _visible(self) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["id"] not in self.hidden]

    def _on_message(self, widget: RowsWidget, content: dict[str, Any], buffers: list[Any]) -> None:
        super()._on_message(widget, content, buffers)
        if "again" in content:
            self.repeats += 1
