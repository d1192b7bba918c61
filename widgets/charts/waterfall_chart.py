"""How the plain model became what runs now, a bar for each step, of latency, quality and size."""

from __future__ import annotations

import traitlets as t

from workbench.widgets._base import Widget


class WaterfallChart(Widget):
    """Three panels side by side over the same columns; what isn't measured yet is hatched."""

    view = t.Dict(help="columns and panels, as page/waterfall.py makes them").tag(sync=True)
