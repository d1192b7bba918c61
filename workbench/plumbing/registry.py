"""What a folder's files declare, and what other packages bring under an entry point of the same name."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from types import ModuleType
from typing import Any


def declared(package: ModuleType, is_one: Callable[[Any], bool]) -> list[Any]:
    """All that ``is_one`` holds for, of the public modules in ``package`` and of other packages' entry points.

    The entry points' group is the package's own name ("workbench.engines"); each names the thing itself. One that can't
    be loaded is warned of and left out: an outsider's mistake is not to take the workbench away.
    """
    return [thing for thing in (*_in_files(package), *_brought(package.__name__)) if is_one(thing)]


def _in_files(package: ModuleType) -> Iterator[Any]:
    for info in pkgutil.iter_modules(package.__path__):
        if not info.name.startswith("_"):
            module = importlib.import_module(f"{package.__name__}.{info.name}")
            for thing in vars(module).values():
                if not isinstance(thing, type) or thing.__module__ == module.__name__:  # not what it imports
                    yield thing


def _brought(group: str) -> Iterator[Any]:
    for entry in metadata.entry_points(group=group):
        try:
            yield entry.load()
        except Exception as error:  # whatever an outsider's module does when it is imported
            warnings.warn(f"{entry.value} of {group} can't be loaded: {error}", stacklevel=2)
