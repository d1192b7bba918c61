"""How the plain model became what runs now, a bar for each step, of latency, quality and size."""

from __future__ import annotations

import traitlets as t

from workbench.widgets._base import Widget
from workbench.widgets._twin import Twin


class WaterfallChart(Widget):
    """Three panels side by side over the same columns; what isn't measured yet is hatched."""

    view = t.Dict(help="columns and panels, as page/waterfall.py makes them").tag(sync=True)

    def twin(self) -> Twin | None:
        if "panels" not in self.view or self.view.get("stale"):
            return None
        panels = self.view["panels"]
        names = [column["name"] for column in self.view["columns"]]
        texts = [[bar["text"] for bar in panel["bars"]] for panel in panels]
        return Twin.of("Step by step", ("", *(panel["title"] for panel in panels)), zip(names, *texts, strict=True))
