"""The latency distribution of both sides, live, on a logarithmic axis."""

from __future__ import annotations

import traitlets as t

from workbench.widgets._twin import Twin
from workbench.widgets.charts._chart import Chart
from workbench.widgets.page import state, views


class LatencyPlot(Chart):
    """How the time of one call is distributed, baseline and variant."""

    view = t.Dict().tag(sync=True)
    mark = t.Unicode(help='"stale" or "recalled" where the calls are of an earlier run').tag(sync=True)
    live = t.Bool(help="whether more calls may come").tag(sync=True)

    @t.default("view")
    def _default_view(self) -> dict:
        return views.latency(state.PageState())

    def twin(self) -> Twin | None:
        head = ("", "engine", "median", "p90", "p95", "p99", "calls")
        rows = [(side["name"], side["engine"], *side["cells"]) for side in self.view["sides"]]
        return Twin.of("Milliseconds per call", head, rows) if rows else None
