"""The finished runs of one workload, as the charts and the history need them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from workbench.receipt import Result
from workbench.recipe import summary_of
from workbench.widgets import _format as fmt
from workbench.widgets.page import quality as _quality
from workbench.widgets.page.metric import Metric
from workbench.widgets.page.verdict import sureness


class Entry(Protocol):
    """What the store gives: a finished run, its number there, and when it finished (ISO 8601)."""

    id: int
    finished_at: str
    result: Result


@dataclass(frozen=True)
class Row:
    """A finished run with a number of its own on this page.

    ``earlier`` is that of the last run of the same recipe by the same metric; ``entry`` what the store keeps it under.
    """

    id: int
    result: Result
    finished_at: str
    label: str
    earlier: int
    entry: int = 0

    @property
    def metric(self) -> Metric:
        """What tells its quality."""
        return Metric.of(self.result.variant.quality)

    def history(self, metric: Metric | None) -> dict[str, Any]:
        """As a history of runs that ``metric`` judges shows it; one that another judged names that."""
        result, quality = self.result, self.result.variant.quality
        figures = result.baseline.quality.value, quality.value
        told = fmt.quality(quality.value, quality.unit, 4)
        return {
            "id": self.id,
            "recipe": self.label,
            "when": fmt.when(self.finished_at),
            "latency": fmt.latency(result.variant.latency_ms.p50),
            "baseline": result.baseline.engine,
            "speedup": fmt.speed(result.speedup, rough=sureness(result) != "solid", few=result.few_calls),
            "quality": told if self.metric == metric else f"{quality.title} {told}",
            "change": fmt.quality_change(self.metric.moved(result.quality_loss.value), quality.unit, *figures),
            "size": fmt.size(result.variant.size_bytes),
        }

    @property
    def is_plotted(self) -> bool:
        """Whether it has a place in the plot: its quality is a number."""
        return math.isfinite(self.result.variant.quality.value)

    def point(self) -> dict[str, Any]:
        """As the plot of quality against latency shows it, where it :attr:`is_plotted`."""
        variant = self.result.variant
        place = _quality.point(variant.latency_ms.p50, variant.quality, self.label, self.result.speedup)
        return {"id": self.id, "batch": batch_of(self.result.recipe), "when": fmt.when(self.finished_at), **place}


def batch_of(recipe: dict[str, Any]) -> int:
    """Inputs of one call; 1 where the recipe doesn't say."""
    return recipe.get("place", {}).get("batch", 1)


@dataclass
class Runs:
    """Oldest first; ids grow."""

    rows: list[Row] = field(default_factory=list)
    _new: list[Row] = field(default_factory=list)
    _last: int = 0

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Runs:
        """From the store's entries, newest first."""
        runs = cls()
        for entry in reversed(list(entries)):
            runs._append(entry.result, entry.finished_at, entry.id)
        return runs

    def add(self, result: Result, entry: int = 0) -> None:
        """A run that finished just now, and what the store keeps it under."""
        self._new.append(self._append(result, datetime.now(UTC).isoformat(), entry))

    def remove(self, number: int) -> None:
        """Take a run away; the one before it of the same recipe, if any, is that recipe's newest again."""
        gone = self.find(number)
        if gone is None:
            return
        rest = [row for row in self.rows if row is not gone]
        self.rows = [replace(row, earlier=gone.earlier) if row.earlier == number else row for row in rest]
        self._new = [row for row in self._new if row is not gone]

    def take_new(self) -> list[Row]:
        """The rows added since the last call."""
        new, self._new = self._new, []
        return new

    def find(self, number: int) -> Row | None:
        """The row with this id."""
        return next((row for row in self.rows if row.id == number), None)

    def shown(self, recipe: dict[str, Any]) -> int:
        """The id of the newest run of this very recipe; 0 where there is none."""
        return next((row.id for row in reversed(self.rows) if row.result.recipe == recipe), 0)

    @property
    def metric(self) -> Metric | None:
        """What told the quality of the newest run; ``None`` where there is none."""
        return self.rows[-1].metric if self.rows else None

    def history_rows(self, metric: Metric | None) -> list[dict[str, Any]]:
        """For a history of runs that ``metric`` judges, oldest first."""
        return [row.history(metric) for row in self.rows]

    def plotted(self, metric: Metric | None, also: Collection[int] = ()) -> list[Row]:
        """What the plot shows, oldest first: of each recipe the newest run, and those with the ids ``also``.

        All of them judged by ``metric``.
        """
        outdated = {row.earlier for row in self.rows} - set(also)
        return [row for row in self.rows if row.id not in outdated and row.metric == metric and row.is_plotted]

    def _append(self, result: Result, finished_at: str, entry: int) -> Row:
        self._last += 1
        row = Row(self._last, result, finished_at, summary_of(result.recipe), self._earlier(result), entry)
        self.rows.append(row)
        return row

    def _earlier(self, result: Result) -> int:
        """The id of the newest run of the same recipe by the same metric; 0 where there is none."""
        metric = Metric.of(result.variant.quality)
        alike = (row.id for row in reversed(self.rows) if row.result.recipe == result.recipe and row.metric == metric)
        return next(alike, 0)
