"""What a user gives in place of something of ours: called with its mistakes told in one line."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.errors import WorkloadError
from workbench.plumbing.words import one_line

_NOT_THE_USER = (sysconfig.get_path("stdlib"), str(Path(__file__).parent), "<")
"""What files that aren't the user's begin with: Python's, those of tasks, what isn't in a file."""


def name_of(given: Any) -> str:
    """What it is called: the function's name, or the class of what isn't one."""
    function = getattr(given, "func", given)  # a functools.partial holds it
    return getattr(function, "__name__", type(function).__name__).strip("<>")


def kind_of(given: Any) -> str:
    """Words for what was given instead: "int 3", "the class L1Loss"."""
    return f"the class {given.__name__}" if isinstance(given, type) else f"{type(given).__name__} {given!r:.40}"


def meant(what: str, given: Any, kind: type, find: Callable[[str], Any], wrap: Callable[[Any], Any], known: str) -> Any:
    """What is meant by a name, by something of ``kind``, or by a function, which ``wrap`` makes one of.

    Raises
    ------
    WorkloadError
        It is none of these; ``known`` says what can be given.
    """
    if isinstance(given, str):
        return find(given)
    if isinstance(given, kind):
        return given
    if callable(given) and not isinstance(given, type):
        return wrap(given)
    raise WorkloadError(f"{what} is {kind_of(given)}; it can be one of {known}")


def call(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What the user's ``function`` returns; ``what`` names it in messages.

    Raises
    ------
    WorkloadError
        It raises something: which, and at which line of the user's file.
    """
    try:
        return function(*arguments)
    except Exception as error:  # whatever a user's function does
        said = one_line(error)
        kind = type(error).__name__
        told = kind if said == kind else f"{kind}: {said}"
        raise WorkloadError(f"the {what} raises {told}{_place(error)}") from error


def _place(error: Exception) -> str:
    """The last line reached in the file that was called, " (my.py, line 12)"; nothing of a library's."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    own = [frame for frame in frames if not _of_others(frame.filename)]
    if not own:
        return ""
    file = Path(own[0].filename)
    line = [frame.lineno for frame in own if frame.filename == own[0].filename][-1]
    in_a_notebook = file.parent.name.startswith("ipykernel_")
    return f" (line {line} of its cell)" if in_a_notebook else f" ({file.name}, line {line})"


def _of_others(file: str) -> bool:
    return file.startswith(_NOT_THE_USER) or "site-packages" in Path(file).parts
