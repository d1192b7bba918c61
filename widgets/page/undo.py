"""Undo and redo of what is asked for: the recipe, and what its figures are set against."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import traitlets as t

from workbench.widgets.page import pump
from workbench.widgets.page.pump import Urgency

ONE_GESTURE_SECONDS = 1.0
"""Changes of one and the same setting that follow each other more quickly are one: a slider that is dragged."""
_MOST = 100


@dataclass(frozen=True)
class Asked:
    """A recipe, and the engine that its figures are set against."""

    recipe: dict[str, Any]
    baseline: str = "auto"

    def differs_in(self, other: Asked) -> frozenset[tuple]:
        """The settings in which the two differ, each by its path."""
        ours, theirs = (set(_settings([each.recipe, each.baseline])) for each in (self, other))
        return frozenset(path for path, _ in ours ^ theirs)


@dataclass(frozen=True)
class UndoHistory:
    """What was asked for before and after what is shown. Immutable; the moments are anyone's seconds."""

    present: Asked
    past: tuple[Asked, ...] = ()
    future: tuple[Asked, ...] = ()
    changed: frozenset[tuple] = frozenset()
    """In which settings the last change was."""
    changed_at: float = -ONE_GESTURE_SECONDS

    def record(self, asked: Asked, at: float) -> UndoHistory:
        """Something else is asked for from now on; what had been undone is forgotten."""
        changed = self.present.differs_in(asked)
        if not changed:
            return self
        one_gesture = len(changed) == 1 and changed == self.changed and at - self.changed_at < ONE_GESTURE_SECONDS
        past = self.past if one_gesture else (*self.past, self.present)[-_MOST:]
        return UndoHistory(asked, past, (), changed, at)

    def undo(self) -> UndoHistory:
        """One step back; itself where there is none."""
        if not self.past:
            return self
        *past, present = self.past
        return replace(self._at(present), past=tuple(past), future=(self.present, *self.future))

    def redo(self) -> UndoHistory:
        """One step forth again; itself where none was undone."""
        if not self.future:
            return self
        present, *future = self.future
        return replace(self._at(present), past=(*self.past, self.present), future=tuple(future))

    def _at(self, present: Asked) -> UndoHistory:
        """A change that follows is no part of a gesture from before."""
        return replace(self, present=present, changed=frozenset())


class Undoing:
    """Follows a panel's recipe, whoever changes it, and answers the header's two buttons."""

    def __init__(self, panel: t.HasTraits, bar: t.HasTraits) -> None:
        self._panel, self._bar = panel, bar
        self._moving = False
        self.history = UndoHistory(self._asked())
        panel.observe(self._record, ["recipe", "baseline"])
        bar.observe(lambda _: self._move(self.history.undo()), "undos")
        bar.observe(lambda _: self._move(self.history.redo()), "redos")

    def _asked(self) -> Asked:
        return Asked(self._panel.recipe, self._panel.baseline)

    def _record(self, _change: t.Bunch) -> None:
        if not self._moving:
            self._take(self.history.record(self._asked(), time.monotonic()))

    def _move(self, history: UndoHistory) -> None:
        self._moving = True
        try:
            self._panel.baseline = history.present.baseline
            self._panel.recipe = history.present.recipe
        finally:
            self._moving = False
        self._take(history)

    def _take(self, history: UndoHistory) -> None:
        self.history = history
        pump.shared().put(self._bar, Urgency.ANSWER, can_undo=bool(history.past), can_redo=bool(history.future))


def _settings(document: Any, path: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    """Each single value in a document, behind its path."""
    if isinstance(document, dict | list | tuple):
        parts = document.items() if isinstance(document, dict) else enumerate(document)
        for name, part in parts:
            yield from _settings(part, (*path, name))
    else:
        yield path, document
