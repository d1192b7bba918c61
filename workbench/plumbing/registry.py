"""What a folder's files declare, and what other packages bring under an entry point of the same name."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from types import ModuleType
from typing import Any


def classes(package: ModuleType, base: type[Any], named_by: str) -> list[type[Any]]:
    """The subclasses of ``base`` that have the attribute ``named_by``: what others only build upon has none.

    Of the public modules in ``package`` and of other packages' entry points, whose group is the package's own name
    ("workbench.engines"). An entry point names the thing itself; one that can't be loaded is warned of and left out: an
    outsider's mistake is not to take the workbench away.
    """
    found = (thing for thing in _declared(package) if isinstance(thing, type) and issubclass(thing, base))
    return [thing for thing in found if hasattr(thing, named_by)]


def instances(package: ModuleType, kind: type[Any]) -> list[Any]:
    """The things of this kind, from where :func:`classes` finds classes."""
    return [thing for thing in _declared(package) if isinstance(thing, kind)]


def brought(group: str) -> tuple[metadata.EntryPoint, ...]:
    """What other packages bring under this group, not loaded yet."""
    return tuple(_entry_points().select(group=group))


def bringers() -> frozenset[str]:
    """The packages, by their names, that bring anything of any group."""
    ours = f"{__name__.partition('.')[0]}."
    groups = (group for group in _entry_points().groups if group.startswith(ours))
    return frozenset(entry.dist.name for group in groups for entry in brought(group) if entry.dist)


@cache
def _entry_points() -> metadata.EntryPoints:
    """Of all installed packages: some milliseconds of reading."""
    return metadata.entry_points()


def _declared(package: ModuleType) -> Iterator[Any]:
    yield from _in_files(package)
    yield from _loaded(package.__name__)


def _in_files(package: ModuleType) -> Iterator[Any]:
    for info in pkgutil.iter_modules(package.__path__):
        if not info.name.startswith("_"):
            module = importlib.import_module(f"{package.__name__}.{info.name}")
            for thing in vars(module).values():
                if not isinstance(thing, type) or thing.__module__ == module.__name__:  # not what it imports
                    yield thing


def _loaded(group: str) -> Iterator[Any]:
    for entry in brought(group):
        try:
            yield entry.load()
        except Exception as error:  # whatever an outsider's module does when it is imported
            warnings.warn(f"{entry.value} of {group} can't be loaded: {error}", stacklevel=2)
