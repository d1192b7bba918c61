"""What every chart is: a widget that draws with the page's one copy of Plotly."""

from __future__ import annotations

from typing import ClassVar

import traitlets as t

from workbench.widgets._base import Widget
from workbench.widgets.charts.plotly_library import library


class Chart(Widget):
    """A widget that refers to the library widget, so that a page loads it before the first chart."""

    _shared_scripts: ClassVar = ("_common", "charts/_chart")

    library = t.Unicode(help="the model id of the page's PlotlyLibrary").tag(sync=True)

    @t.default("library")
    def _page_library(self) -> str:
        return library().model_id
