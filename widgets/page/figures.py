"""Latency, speed-up, quality and size in large type, each against the baseline, and the verdict in words."""

from __future__ import annotations

from typing import ClassVar

import traitlets as t

from workbench.widgets._base import Widget
from workbench.widgets._twin import Twin
from workbench.widgets.page import state, views


class Figures(Widget):
    """Four figures with their intervals. ``Figures(result=run.result())`` shows a finished run."""

    _shared_scripts: ClassVar = ("_common", "page/_counting")

    view = t.Dict().tag(sync=True)

    def __init__(self, result=None, **traits) -> None:
        super().__init__(**traits)
        self.view = views.figures(state.of_result(result) if result else state.PageState())

    def twin(self) -> Twin | None:
        shown = [card for card in self.view["cards"] if card["form"] != "absent"]
        if not shown:
            return None
        rows = ((card["label"], f"{card['value']} {card['unit']}".rstrip(), *_two(card["lines"])) for card in shown)
        return Twin.of(self.view["verdict"]["text"], ("", "now", "", ""), rows)


def _two(lines: list[str]) -> tuple[str, str]:
    first, second, *_ = (*lines, "", "")
    return first, second
