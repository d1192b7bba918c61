"""A run on one screen, in words: what came of it, what each step did, what is real, on which machine."""

from __future__ import annotations

import traitlets as t

from workbench.widgets._base import Widget
from workbench.widgets._twin import Twin
from workbench.widgets.page import state, summary


class RunSummary(Widget):
    """Verdict, steps, realities, notices, facts. ``RunSummary(result=run.result())`` tells of a finished run."""

    view = t.Dict().tag(sync=True)
    mark = t.Unicode(help='"stale" or "recalled" where it tells of an earlier run').tag(sync=True)

    def __init__(self, result=None, **traits) -> None:
        super().__init__(**traits)
        self.view = summary.view(state.of_result(result) if result else state.PageState(), {})

    def twin(self) -> Twin | None:
        view = self.view
        if not view["clauses"]:
            return None
        steps = [(f"{step['title']} {step['what']}".rstrip(), step["text"]) for step in view["steps"]]
        real = [(each["reality"], ": ".join(filter(None, (each["text"], each["why"])))) for each in view["realities"]]
        notices = [("notice", notice) for notice in view["notices"]]
        return Twin.of(view["heading"], ("", view["sentence"]), [*steps, *real, *notices, *view["facts"]])
