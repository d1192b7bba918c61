"""The test examples that a recipe made the model answer otherwise."""

from __future__ import annotations

import traitlets as t

from workbench.widgets._base import Widget
from workbench.widgets._twin import Twin
from workbench.widgets.page import examples as views

_HEAD = ("example", "outcome", "target", "before", "now")


class ExamplesView(Widget):
    """Examples with their pictures, and what is taken for what.

    ``ExamplesView(examples=session.examples(workload, recipe))`` shows what a finished run changed.
    """

    view = t.Dict(help="what is shown, or why there is nothing").tag(sync=True)
    mark = t.Unicode(help='"stale" where the examples are of the run before').tag(sync=True)

    def __init__(self, examples=None, **traits) -> None:
        super().__init__(**traits)
        if examples is not None:
            self.view = views.view(examples)

    @t.default("view")
    def _nothing_yet(self) -> views.View:
        return {"empty": views.AWAITED}

    def twin(self) -> Twin | None:
        rows = views.rows(self.view)
        return Twin.of(f"Examples: {self.view['summary']}", _HEAD, rows) if rows else None
