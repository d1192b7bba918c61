"""What a recipe did to single test examples: which answers it changed, and what it takes for what.

Field names are promises: the session, ``Examples.model_dump`` and the widgets share them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from workbench.receipt import Direction

Outcome = Literal["lost", "won", "other", "changed", "worse"]
"""What became of an answer: right and then wrong; wrong and then right; wrong and then wrong in another way; changed,
where nothing says what is right; and, where answers are numbers, further from the target than before."""

OUTCOMES: tuple[Outcome, ...] = ("lost", "won", "other", "changed", "worse")
"""In the order in which examples come."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shown(_Frozen):
    """An input, a target or an answer as it is drawn: a picture, a line, text, or a picture and what it is called."""

    text: str = ""
    picture: str = ""
    """A PNG as a data URI."""
    line: tuple[float, ...] = ()
    """The values of a series, from left to right."""
    note: str = ""
    """What isn't plain from it: "the first of 5 channels"."""


class Example(_Frozen):
    """One test example and what was answered before and after; ``number`` is its place in the test data."""

    number: int
    outcome: Outcome
    inputs: tuple[Shown, ...]
    target: Shown | None
    before: Shown
    after: Shown
    figure: tuple[float, float] | None = None
    """What the error or the score of this example was and is, in ``Examples.unit``."""


class Confusion(_Frozen):
    """How often each class was taken for each: rows are the target's class, columns the answer's."""

    classes: tuple[str, ...]
    baseline: tuple[tuple[int, ...], ...]
    variant: tuple[tuple[int, ...], ...]


class Examples(_Frozen):
    """The test examples whose answers a recipe changed most, and counts over all that were looked at.

    ``total`` and the counts are in ``counted``: answers, pixels, tokens, or examples where answers are numbers.
    """

    counted: str
    total: int
    counts: dict[Outcome, int]
    """Of each outcome that occurs here; 0 where it could have and didn't."""
    examples: tuple[Example, ...] = ()
    seen: int
    """How many examples were looked at, of ``available``."""
    available: int
    title: str = ""
    """What the examples' figure is called: "mean absolute error"."""
    unit: str = ""
    better: Direction | None = None
    """Which figures are the better ones; None where there are none."""
    confusion: Confusion | None = None
    legend: dict[str, str] = {}
    """The colours of the pictures of classes, by the class: "#0072b2"."""
    note: str = ""
    """Why there are no examples, where there can't be any."""

    @property
    def changed(self) -> int:
        """How many differ."""
        return sum(self.counts.values())

    @property
    def summary(self) -> str:
        """The counts in words: "37 of 2,000 answers changed: 21 lost, 12 won, 4 still wrong"."""
        if self.note:
            return self.note
        if "worse" in self.counts:
            count = f"{self.changed:,}" if self.changed else "none"
            return f"{count} of {self.total:,} {self.counted} got worse"
        if not self.changed:
            return f"none of {self.total:,} {self.counted} changed"
        words = {"lost": "lost", "won": "won", "other": "still wrong", "changed": "without a target"}
        parts = [f"{count:,} {words[name]}" for name, count in self.counts.items() if count or name != "changed"]
        told = "" if list(self.counts) == ["changed"] else f": {', '.join(parts)}"
        return f"{self.changed:,} of {self.total:,} {self.counted} changed{told}"

    def __str__(self) -> str:
        """The summary and, where not all examples were looked at, of how many it is."""
        part = f" (of the first {self.seen:,} of {self.available:,} examples, drawn at random)"
        return self.summary + (part if self.seen < self.available else "")
