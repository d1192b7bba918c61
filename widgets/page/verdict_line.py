"""Is it better? The answer in one line, how sure it is, and which loss of quality the person accepts."""

from __future__ import annotations

import traitlets as t

from workbench.widgets._base import Widget
from workbench.widgets._twin import Twin
from workbench.widgets.page import state, verdict


class VerdictLine(Widget):
    """Three clauses, a pill and a stepper. ``VerdictLine(result=run.result())`` judges a finished run.

    The browser remembers :attr:`accepted`. Pressing “Measure when quiet” counts :attr:`quiet_requests` up, “Train”
    :attr:`train_requests`.
    """

    view = t.Dict().tag(sync=True)
    accepted = t.Float(0.5, min=0, max=100, help="the loss of quality that is accepted, in points or per cent").tag(
        sync=True
    )
    quiet_requests = t.Int(help="how often “Measure when quiet” was pressed").tag(sync=True)

    train_requests = t.Int(help="how often “Train” was pressed").tag(sync=True)

    def __init__(self, result=None, **traits) -> None:
        super().__init__(**traits)
        self.view = verdict.view(state.of_result(result) if result else state.PageState())

    def twin(self) -> Twin | None:
        clauses = [(clause["part"], clause["text"]) for clause in self.view["clauses"]]
        return Twin.of(self.view["sure"]["text"], ("", "verdict"), clauses) if clauses else None
