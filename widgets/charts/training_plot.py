"""The loss while a technique trains, live."""

from __future__ import annotations

import traitlets as t

from workbench.widgets.charts._chart import Chart


class TrainingPlot(Chart):
    """A loss curve over epochs."""

    view = t.Dict().tag(sync=True)
