"""The latency distribution of both sides, live, on a logarithmic axis."""

from __future__ import annotations

import traitlets as t

from workbench.widgets.charts._chart import Chart
from workbench.widgets.page import state, views


class LatencyPlot(Chart):
    """How the time of one call is distributed, baseline and variant."""

    view = t.Dict().tag(sync=True)

    @t.default("view")
    def _default_view(self) -> dict:
        return views.latency(state.PageState())
