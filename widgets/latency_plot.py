"""The latency distribution of both sides, live, on a logarithmic axis."""

from __future__ import annotations

import traitlets as t

from workbench.widgets import _state, _views
from workbench.widgets._chart import Chart


class LatencyPlot(Chart):
    """How the time of one call is distributed, baseline and variant."""

    view = t.Dict().tag(sync=True)

    @t.default("view")
    def _default_view(self) -> dict:
        return _views.latency(_state.PageState())
