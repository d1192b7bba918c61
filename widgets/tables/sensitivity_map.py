"""What each layer costs the model in each scheme that it could have, as a map of layers and schemes."""

from __future__ import annotations

import traitlets as t

from workbench.widgets._base import Widget
from workbench.widgets._twin import Twin
from workbench.widgets.page import sensitivity as views


class SensitivityMap(Widget):
    """A cell for each layer and scheme, the darker the more it costs; a click asks for that scheme.

    ``SensitivityMap(found=…)`` shows what :meth:`workbench.session.Session.sensitivity` gave.
    """

    view = t.Dict(help="what is shown, or why there is nothing").tag(sync=True)
    mark = t.Unicode(help='"stale" where it is of the run before').tag(sync=True)
    chosen = t.Dict(help="the scheme that the recipe asks of each layer").tag(sync=True)
    pressed = t.Dict(help="set by a click on a cell: layer, scheme and when").tag(sync=True)

    def __init__(self, found=None, **traits) -> None:
        super().__init__(**traits)
        if found is not None:
            self.view = views.view(found, {})

    @t.default("view")
    def _nothing_yet(self) -> views.View:
        return {"empty": views.AWAITED}

    def twin(self) -> Twin | None:
        rows = views.rows(self.view)
        return Twin.of(self.view["loss"], ["layer", *self.view["schemes"]], rows) if rows else None
