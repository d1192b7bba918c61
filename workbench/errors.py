"""Errors a person can act on: what was wrong, with the value, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class WorkbenchError(Exception):
    """Something the user can put right. ``str(error)`` is one line, shown in place as it is."""


class RecipeError(WorkbenchError):
    """A recipe that can't be read or makes no sense."""


class WorkloadError(WorkbenchError):
    """A model or its data that can't be used."""


class EngineError(WorkbenchError):
    """An engine that can't run this variant here."""


class Cancelled(Exception):
    """Raised inside a run at a batch boundary once its cancellation was asked for."""


def in_place(error: Exception) -> str:
    """What is shown where something went wrong: the error's line; of one that nobody foresaw its type too."""
    return str(error) if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"


def as_known(name: str, known: Iterable[str]) -> str:
    """``name`` as one of ``known`` is written, whatever its case; itself where it is none of them."""
    written = {each.casefold(): each for each in known}
    return written.get(name.casefold(), name)


def unknown(what: str, name: object, known: Iterable[str]) -> str:
    """One line for an unknown name: the nearest known names first, else all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=3, cutoff=0.5)
    advice = f"did you mean {' or '.join(near)}?" if near else f"one of {', '.join(names)}"
    return f"{what} {str(name)!r} is not known; {advice}"
