"""The native benchmark's figures for people: case by case, the means that are aimed at, and Markdown tables.

``python -m benchmarks._native_report benchmarks/out/native.json`` prints the tables of a run.
"""

from __future__ import annotations

import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._interleave import geometric_mean
from benchmarks.native_models import LARGE
from workbench.receipt import Interval

EQUAL = 1.1
"""An output error up to this many times native's counts as equal: two ways to choose ranges differ by some per cent."""


@dataclass(frozen=True)
class Row:
    """One engine on one case. ``slower``: its time over that of native's fastest precision, with its interval."""

    model: str
    batch: int
    engine: str
    precision: str
    median_ms: float
    least_ms: float
    error: float
    accuracy: float | None
    slower: float
    slower_low: float
    slower_high: float

    @classmethod
    def of(
        cls, model: str, batch: int, key: tuple[str, str], seconds: list[float], error: float,
        accuracy: float | None, slower: Interval,
    ) -> Row:  # fmt: skip
        """From the seconds of all rounds."""
        times = statistics.median(seconds) * 1e3, min(seconds) * 1e3
        return cls(model, batch, *key, *times, error, accuracy, slower.value, slower.low, slower.high)

    @property
    def name(self) -> str:
        """As it is printed."""
        return f"{self.engine} {self.precision}"


@dataclass(frozen=True)
class Verdict:
    """Native's fastest precision on one case, and the fastest peers."""

    ours: Row
    equal: Row
    """Of those at equal accuracy."""
    any: Row


def verdicts(rows: list[Row]) -> list[Verdict]:
    """One for each case that has peers, in the order they were measured."""
    found = []
    for case in dict.fromkeys((row.model, row.batch) for row in rows):
        here = [row for row in rows if (row.model, row.batch) == case]
        ours = min((row for row in here if row.engine == "native"), key=lambda row: row.median_ms)
        peers = [row for row in here if row.engine != "native"]
        equal = [row for row in peers if row.error <= EQUAL * ours.error]
        if equal:
            found.append(Verdict(ours, *(min(some, key=lambda row: row.slower) for some in (equal, peers))))
    return found


def case_lines(rows: list[Row]) -> str:
    """One case, fastest first."""
    lines = []
    for row in sorted(rows, key=lambda row: row.median_ms):
        times = f"{row.median_ms:9.4f} ms, least {row.least_ms:9.4f}"
        right = "" if row.accuracy is None else f"  accuracy {row.accuracy:.2%}"
        lines.append(f"  {row.name:22} {times}  {_ratio(row):24} error {row.error:.1e}{right}")
    return "\n".join(lines)


def summary(document: dict[str, Any]) -> str:
    """The figures that there are aims for."""
    found = verdicts([Row(**row) for row in document["rows"]])
    lines = ["\nnative against the fastest peer at equal accuracy"]
    for v in found:
        lines.append(f"  {v.ours.model:16} {v.ours.batch:3}  {v.ours.precision:5} {_ratio(v.equal):24} {v.equal.name}")
    for title, large in (("small models", False), ("large models", True)):
        group = [v for v in found if (v.ours.model in LARGE) == large]
        if group:
            least = geometric_mean([v.equal.least_ms / v.ours.least_ms for v in group])
            mean = geometric_mean([v.equal.slower for v in group])
            lines.append(f"  geometric mean, {title}: {mean:.2f}× (of the least times: {least:.2f}×)")
    if found:
        worst = min(found, key=lambda v: v.equal.slower)
        lines.append(f"  worst case: {worst.equal.slower:.2f}× ({worst.ours.model}, batch {worst.ours.batch})")
    seconds = ", ".join(f"{name} {value:.2f} s" for name, value in document["prepare_seconds"].items())
    overhead = ", ".join(f"{name} {value:.1f} µs" for name, value in document["call_overhead_us"].items())
    return "\n".join([*lines, f"  prepare of ResNet-18: {seconds}", f"  call above its kernels: {overhead}"])


def markdown(document: dict[str, Any]) -> str:
    """Two tables: native and the fastest peers, and every engine's median milliseconds."""
    rows = [Row(**row) for row in document["rows"]]
    lines = [
        "| model, batch | native | fastest peer at equal accuracy | how many times faster | of any accuracy |",
        "|---|---|---|---|---|",
    ]
    for v in verdicts(rows):
        ours, equal, any = (f"{row.name} {row.median_ms:.3g} ms" for row in (v.ours, v.equal, v.any))
        any = "the same" if v.any == v.equal else f"{any}, {v.any.slower:.2f}×"
        ours = ours.removeprefix("native ")
        lines.append(f"| {v.ours.model}, {v.ours.batch} | {ours} | {equal} | {_ratio(v.equal).strip()} | {any} |")
    names = list(dict.fromkeys(row.name for row in rows))
    lines += ["", f"| median ms | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for model, batch in dict.fromkeys((row.model, row.batch) for row in rows):
        cells = {row.name: f"{row.median_ms:.3g}" for row in rows if (row.model, row.batch) == (model, batch)}
        lines.append(f"| {model}, {batch} | {' | '.join(cells.get(name, '—') for name in names)} |")
    return "\n".join(lines)


def _ratio(row: Row) -> str:
    return f"{row.slower:6.2f}× ({row.slower_low:.2f} – {row.slower_high:.2f})"


if __name__ == "__main__":
    document = json.loads(Path(sys.argv[1]).read_text())
    print(markdown(document), summary(document), sep="\n")
