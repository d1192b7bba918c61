"""Ways to execute a variant, one file each. A new file here is all that a new engine needs."""

from __future__ import annotations

import sys
from collections.abc import Collection
from functools import cache

from workbench.engines._base import Build, Engine, Export, Kernel, LayerTimesUnavailable, Runner, Work
from workbench.errors import RecipeError, unknown
from workbench.plumbing.registry import classes

__all__ = [
    "Build",
    "Engine",
    "Export",
    "Kernel",
    "LayerTimesUnavailable",
    "Runner",
    "Work",
    "find",
    "preferred",
    "reference",
    "registered",
]


@cache
def registered() -> dict[str, Engine]:
    """Every engine by the name recipes use, in the order the page shows them."""
    found = classes(sys.modules[__name__], Engine, named_by="name")
    return {each.name: each() for each in sorted(found, key=lambda each: (each.rank, each.name))}


def find(name: str) -> Engine:
    """Return the engine called ``name``; :class:`RecipeError` with the nearest names otherwise."""
    try:
        return registered()[name]
    except KeyError:
        raise RecipeError(unknown("engine", name, [*registered(), "auto"])) from None


def reference() -> Engine:
    """The engine that runs modules and graphs as PyTorch does."""
    return next(engine for engine in registered().values() if engine.is_reference)


def preferred(precision: str | Collection[str] = "fp32", device: str = "cpu") -> tuple[str, ...]:
    """The engines that ``"auto"`` tries, in this order: those that run ``precision`` (or several) on ``device``."""
    tried = [engine for engine in registered().values() if engine.preference is not None]
    here = [engine for engine in tried if engine.why_not(precision, device) is None]
    return tuple(engine.name for engine in sorted(here, key=lambda each: each.preference)) or (reference().name,)
