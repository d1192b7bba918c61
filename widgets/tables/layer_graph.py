"""The model as a graph: its layers from input to output, by their share of the time."""

from __future__ import annotations

import traitlets as t

from workbench.widgets._base import Widget
from workbench.widgets._twin import Twin
from workbench.widgets.page import graph


class LayerGraph(Widget):
    """A node for each layer. ``LayerGraph(flow, result)`` shows that of a finished run.

    Parameters
    ----------
    flow
        Where each layer's output goes, as the run's event ``structure`` told it.
    result
        The run's result.
    """

    view = t.Dict().tag(sync=True)
    selected = t.Unicode(help="the layer whose row is unfolded; none where empty").tag(sync=True)

    def __init__(self, flow=None, result=None, **traits) -> None:
        super().__init__(**traits)
        if result is not None:
            self.view = graph.view(flow, result.receipt)

    def twin(self) -> Twin | None:
        if not self.view:
            return None
        labels = {
            node["name"]: node["name"] if node["kind"] == "layer" else node["label"] for node in self.view["nodes"]
        }
        goes_to: dict[str, list[str]] = {name: [] for name in labels}
        for edge in self.view["edges"]:
            goes_to[edge["from"]].append(labels[edge["to"]])
        rows = [
            (labels[node["name"]], ", ".join(goes_to[node["name"]]), node["percent"], node["reality"])
            for node in self.view["nodes"]
        ]
        return Twin.of("Graph of the model", ("layer", "goes to", "share of the time", ""), rows)
