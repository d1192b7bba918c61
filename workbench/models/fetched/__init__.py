"""Real data and models for benchmarks, fetched when asked for, one file each: a new file here is all a new one needs.

Nothing here imports torch until something is unpacked or loaded.
"""

from __future__ import annotations

import sys
from functools import cache

from workbench.errors import WorkloadError, as_known, unknown
from workbench.models.fetched._base import Fetched, fetch
from workbench.models.fetched._registries import Package
from workbench.plumbing.registry import instances

__all__ = ["Fetched", "Package", "fetch", "find", "registered"]


@cache
def registered() -> dict[str, Fetched]:
    """Everything that can be fetched, by its name."""
    found = instances(sys.modules[__name__], Fetched)
    return {each.name: each for each in sorted(found, key=lambda each: each.name)}


def find(name: str) -> Fetched:
    """What is fetched by this name, whatever its case; :class:`WorkloadError` with the nearest names otherwise."""
    name = as_known(name, registered())
    if name not in registered():
        raise WorkloadError(unknown("what to fetch", name, registered()))
    return registered()[name]
