"""A benchmark's rows, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from workbench import models
from workbench.core import offer
from workbench.machine import identity
from workbench.receipt import Interval

OUT = Path(__file__).parent / "out"


@dataclass(frozen=True)
class Row:
    """One promise: what was measured, the aim, the figure, and whether it holds."""

    what: str
    aim: str
    measured: str
    holds: bool
    detail: dict


def those_here(names: Iterable[str]) -> Iterator[str]:
    """The workloads of these names; of one whose data have to be fetched first it is printed how."""
    for name in names:
        if how := models.not_yet().get(name):
            print(f"\n`{name}` is {how}")
        else:
            yield name


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| what | aim | measured | |", "|---|---|---|---|"]
    lines += [
        f"| {row.what} | {row.aim} | {row.measured} | {'holds' if row.holds else '**falls short**'} |" for row in rows
    ]
    return "\n".join(lines)


def spread(interval: Interval, scale: float = 1) -> str:
    """An estimate and its interval, times ``scale``: "1.5 (1.2 to 1.8)"."""
    value, low, high = (scale * each for each in (interval.value, interval.low, interval.high))
    return f"{value:.3g} ({low:.3g} to {high:.3g})"


def write(name: str, rows: list[Row]) -> Path:
    """Keep the rows as ``benchmarks/out/NAME.json`` with the machine and date."""
    OUT.mkdir(exist_ok=True)
    path = OUT / f"{name}.json"
    document = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "environment": identity.environment(None, 0, offer.libraries()),
        "rows": [asdict(row) for row in rows],
    }
    path.write_text(json.dumps(document, indent=1))
    return path
