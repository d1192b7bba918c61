"""Ways to change a model, one file each. A new file here is all that a new technique needs."""

from __future__ import annotations

import sys
from functools import cache

from workbench.errors import RecipeError, unknown
from workbench.plumbing.registry import declared
from workbench.techniques._base import Context, Task, Technique, TrainingPoint, option

__all__ = ["Context", "Task", "Technique", "TrainingPoint", "find", "option", "registered"]


@cache
def registered() -> dict[str, type[Technique]]:
    """Every technique by the name recipes use, the cheapest to try first, as the page shows them."""
    found = declared(sys.modules[__name__], _is_technique)
    return {each.model_fields["do"].default: each for each in sorted(found, key=lambda each: -each.order)}


def _is_technique(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Technique) and hasattr(thing, "order")


def find(name: str) -> type[Technique]:
    """Return the technique called ``name``; :class:`RecipeError` with the nearest names otherwise."""
    try:
        return registered()[name]
    except KeyError:
        raise RecipeError(unknown("technique", name, registered())) from None
