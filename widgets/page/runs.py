"""The finished runs of one workload, as the charts, the history and the effects need them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from workbench.receipt import Result
from workbench.recipe import summary_of
from workbench.widgets import _format as fmt


class Entry(Protocol):
    """What the store gives: a finished run and when it finished (ISO 8601)."""

    finished_at: str
    result: Result


@dataclass(frozen=True)
class Row:
    """A finished run with a number of its own on this page. ``earlier`` is that of the last run of the same recipe."""

    id: int
    result: Result
    finished_at: str
    label: str
    earlier: int

    def history(self) -> dict[str, Any]:
        """As the history shows it."""
        result = self.result
        return {
            "id": self.id,
            "recipe": self.label,
            "when": fmt.when(self.finished_at),
            "latency": fmt.milliseconds(result.variant.latency_ms.p50),
            "baseline": result.baseline.engine,
            "speedup": fmt.speed_difference(result.speedup, few=result.few_calls),
            "accuracy": fmt.percent(result.variant.accuracy.value, 2),
            "change": fmt.points(-result.accuracy_drop.value, 2),
            "size": fmt.size(result.variant.size_bytes),
        }

    def point(self) -> dict[str, Any]:
        """As the plot of accuracy against latency shows it."""
        variant = self.result.variant
        ms, accuracy = float(f"{variant.latency_ms.p50:.4g}"), round(100 * variant.accuracy.value, 3)
        return {
            "id": self.id,
            "ms": ms,
            "accuracy": accuracy,
            "batch": batch_of(self.result.recipe),
            "label": self.label,
        }


def batch_of(recipe: dict[str, Any]) -> int:
    """Inputs of one call; 1 where the recipe doesn't say."""
    return recipe.get("place", {}).get("batch", 1)


@dataclass
class Runs:
    """Oldest first; ids grow."""

    rows: list[Row] = field(default_factory=list)
    _new: list[Row] = field(default_factory=list)

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Runs:
        """From the store's entries, newest first."""
        runs = cls()
        for entry in reversed(list(entries)):
            runs._append(entry.result, entry.finished_at)
        return runs

    def add(self, result: Result) -> None:
        """A run that finished just now."""
        self._new.append(self._append(result, datetime.now(UTC).isoformat()))

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

    def results(self) -> list[Result]:
        """Newest first."""
        return [row.result for row in reversed(self.rows)]

    def history_rows(self) -> list[dict[str, Any]]:
        """For the history, oldest first."""
        return [row.history() for row in self.rows]

    def points(self) -> list[dict[str, Any]]:
        """For the plot, oldest first: the newest run of each recipe."""
        outdated = {row.earlier for row in self.rows}
        return [row.point() for row in self.rows if row.id not in outdated]

    def _append(self, result: Result, finished_at: str) -> Row:
        number, earlier = len(self.rows) + 1, self.shown(result.recipe)
        row = Row(number, result, finished_at, summary_of(result.recipe), earlier)
        self.rows.append(row)
        return row
