"""Finished runs, kept in SQLite: the history, and the earlier figures shown when a recipe comes back.

Write-ahead logging and short transactions make it safe with several notebooks at once. Where the
data directory can't be written the history lives in memory, and :attr:`Store.notice` says so.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pydantic

from workbench.errors import WorkbenchError
from workbench.plumbing.directory import data_directory
from workbench.receipt import Result

if TYPE_CHECKING:
    import pandas

_log = logging.getLogger(__name__)

_PATIENCE_S = 10.0
_SETUP = """
PRAGMA journal_mode=WAL;
PRAGMA synchronous=NORMAL;
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    finished_at TEXT NOT NULL,
    workload TEXT NOT NULL,
    result_key TEXT NOT NULL,
    result TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS runs_by_key ON runs (result_key, id);
CREATE INDEX IF NOT EXISTS runs_by_workload ON runs (workload, id);
"""


@dataclass(frozen=True)
class Entry:
    """One finished run. ``finished_at`` is ISO 8601 in UTC."""

    id: int
    finished_at: str
    result: Result


class Store:
    """The history of runs on this machine. Usable from any thread."""

    def __init__(self, directory: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self.notice: str | None = None
        directory = directory or data_directory()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._database = self._open(str(directory / "history.sqlite"))
        except (OSError, sqlite3.Error) as error:
            self._fall_back(f"{directory} can't be used ({error})")

    def add(self, result_key: str, result: Result) -> Entry:
        """Keep a finished run. A full or broken disk costs the permanence, not the entry."""
        finished_at = datetime.now(UTC).isoformat(timespec="seconds")
        row = (finished_at, _workload_id(result), result_key, result.model_dump_json())
        with self._lock:
            try:
                number = self._insert(row)
            except sqlite3.Error as error:
                self._fall_back(f"the history can't be written ({error})")
                number = self._insert(row)
        return Entry(number, finished_at, result)

    def remove(self, number: int) -> None:
        """Take a run away for good; one that is gone already stays so. Raises :class:`WorkbenchError`."""
        with self._lock:
            try:
                self._database.execute("DELETE FROM runs WHERE id = ?", (number,))
            except sqlite3.Error as error:
                raise WorkbenchError(f"the run can't be deleted: the history can't be written ({error})") from error

    def latest(self, result_key: str) -> Entry | None:
        """The newest run of the same workload, recipe and machine."""
        rows = self._select("WHERE result_key = ? ORDER BY id DESC LIMIT 1", (result_key,))
        return rows[0] if rows else None

    def entries(self, workload_id: str | None = None, limit: int = 200) -> list[Entry]:
        """The newest runs first, of one workload or of all."""
        if workload_id is None:
            return self._select("ORDER BY id DESC LIMIT ?", (limit,))
        return self._select("WHERE workload = ? ORDER BY id DESC LIMIT ?", (workload_id, limit))

    def frame(self) -> pandas.DataFrame:
        """Every run as a DataFrame: one row a run, one column a figure, newest first."""
        import pandas

        from workbench.recipe import summary_of

        rows = []
        for entry in self.entries(limit=-1):  # SQLite's word for all
            result = entry.result
            rows.append(
                {
                    "id": entry.id,
                    "finished_at": pandas.Timestamp(entry.finished_at),
                    "workload": result.workload,
                    "workload_id": _workload_id(result),
                    "recipe": summary_of(result.recipe),
                    "latency_ms": result.variant.latency_ms.p50,
                    "speedup": result.speedup.value,
                    "speedup_low": result.speedup.low,
                    "speedup_high": result.speedup.high,
                    "metric": result.variant.quality.metric,
                    "quality": result.variant.quality.value,
                    "quality_loss": result.quality_loss.value,
                    "size_bytes": result.variant.size_bytes,
                    "baseline_latency_ms": result.baseline.latency_ms.p50,
                    "baseline_engine": result.baseline.engine,
                    "recipe_json": result.recipe,
                }
            )
        return pandas.DataFrame(rows).set_index("id") if rows else pandas.DataFrame()

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _open(self, path: str) -> sqlite3.Connection:
        database = sqlite3.connect(path, timeout=_PATIENCE_S, check_same_thread=False, isolation_level=None)
        end = time.monotonic() + _PATIENCE_S
        while True:
            try:
                database.executescript(_SETUP)
                return database
            except sqlite3.OperationalError as error:
                # Of two that set up a new file at once, SQLite refuses one without waiting (its timeout is for writes).
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    database.close()
                    raise
            time.sleep(0.02)

    def _fall_back(self, why: str) -> None:
        self.notice = f"{why}; history is kept in memory and ends with this session"
        memory = self._open(":memory:")
        if self._database is not None:
            try:
                self._database.backup(memory)  # what could be read stays readable
            except sqlite3.Error as error:
                _log.warning("earlier runs can't be read: %s", error)
                memory = self._open(":memory:")
        self._database = memory

    def _insert(self, row: tuple) -> int:
        cursor = self._database.execute(
            "INSERT INTO runs (finished_at, workload, result_key, result) VALUES (?, ?, ?, ?)", row
        )
        return cursor.lastrowid

    def _select(self, where: str, arguments: tuple) -> list[Entry]:
        with self._lock:
            try:
                rows = self._database.execute(f"SELECT id, finished_at, result FROM runs {where}", arguments).fetchall()
            except sqlite3.Error as error:
                _log.warning("the history can't be read: %s", error)
                return []
        entries = []
        for number, finished_at, text in rows:
            try:
                entries.append(Entry(number, finished_at, Result.model_validate_json(text)))
            except pydantic.ValidationError:  # written by another version of the workbench
                continue
        if len(entries) < len(rows):
            _log.warning(
                "%d of %d runs in the history can't be read by this version", len(rows) - len(entries), len(rows)
            )
        return entries


def _workload_id(result: Result) -> str:
    """Runs of before there were ids go by the name: embedded workloads keep theirs."""
    return result.workload_id or result.workload
