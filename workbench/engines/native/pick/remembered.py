"""What was picked by measurement, remembered: in this process, and for the next one in the user's data directory.

A program is known again by what its speed depends on: the machine, the compiled kernels, the instruction set and its
operations' kinds, shapes, storage and endings; not the values in its weights. A file that can't be read or written, or
that holds something else, is as good as none: everything is measured again.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from workbench import kernels
from workbench.graph.fused.ir import Graph, Value
from workbench.graph.fused.ops import Activation, Op
from workbench.machine.identity import fingerprint
from workbench.plumbing import json_file
from workbench.plumbing.directory import data_directory

MOST = 2000
"""Programs remembered on disk, some 200 bytes each; the oldest go first."""
_TOLD_OTHERWISE = {"inputs", "output", "residual", "layers", "reason"}
"""Fields of operations that say where values come from and go to, or only what people call it."""


@dataclass(frozen=True)
class Picks:
    """By operation, in order: channel vectors of its tile, and whether it stays in float32."""

    widths: tuple[int, ...]
    kept: tuple[bool, ...]


_known: dict[Path, dict[str, Picks]] = {}
_lock = threading.Lock()


def key_of(graph: Graph, isa: str, batch: int) -> str:
    """What picks for this graph are remembered by; ``batch`` is the one they are measured with."""
    numbers = {value: number for number, value in enumerate(graph.inputs)}
    facts: list = [_machine(), isa, batch, [value.shape for value in graph.inputs]]
    for op in graph.ops:
        numbers[op.output] = len(numbers)
        facts.append([[numbers[value] for value in op.reads], *_facts(op), _value_facts(op.output)])
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def recall(key: str, operations: int) -> Picks | None:
    """What was picked for ``key`` earlier; ``None`` where nothing fitting was."""
    with _lock:
        picks = _loaded().get(key)
    return picks if picks is not None and len(picks.widths) == len(picks.kept) == operations else None


def remember(key: str, picks: Picks, *, on_disk: bool) -> None:
    """Keep ``picks`` in this process, and if so told for later ones too, where that can be written."""
    with _lock:
        known = _loaded()
        known.pop(key, None)
        known[key] = picks
        if on_disk:
            _write(_file(), _read(_file()) | {key: picks})  # another process may have added to it


def _loaded() -> dict[str, Picks]:
    path = _file()
    if path not in _known:
        _known[path] = _read(path)
    return _known[path]


def _file() -> Path:
    return data_directory() / "native-picks.json"


def _read(path: Path) -> dict[str, Picks]:
    try:
        entries = json_file.read(path)["picks"]
        return {key: Picks(tuple(map(int, widths)), tuple(map(bool, kept))) for key, (widths, kept) in entries.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def _write(path: Path, picks: dict[str, Picks]) -> None:
    newest = dict(list(picks.items())[-MOST:])
    json_file.write(path, {"picks": {key: [each.widths, each.kept] for key, each in newest.items()}})


@functools.cache
def _machine() -> tuple[str, str]:
    return fingerprint(), kernels.build_id()


def _facts(op: Op) -> list:
    own = [each.name for each in fields(op) if each.name not in _TOLD_OTHERWISE]
    return [type(op).__name__, *(_fact(getattr(op, name)) for name in own)]


def _fact(setting: Any) -> Any:
    """What speed depends on of an operation's field: the shapes of arrays, no numbers that are computed with."""
    if isinstance(setting, float):
        return None
    if isinstance(setting, Activation):
        return setting.name
    return setting.shape if hasattr(setting, "shape") else setting


def _value_facts(value: Value) -> list:
    return [value.shape, value.quant is not None, value.half, value.channels_last_of]
