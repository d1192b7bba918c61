"""Ways to change a model, one file each. A new file here is all that a new technique needs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache

from workbench.errors import RecipeError, unknown
from workbench.plumbing.registry import classes
from workbench.techniques._base import Context, Form, Technique, TrainingPoint, option

__all__ = ["Context", "Form", "Technique", "TrainingPoint", "find", "later", "option", "position", "registered"]


@cache
def registered() -> dict[str, type[Technique]]:
    """Every technique by the name recipes use, the cheapest to try first."""
    found = classes(sys.modules[__name__], Technique, named_by="order")
    return {each.model_fields["do"].default: each for each in sorted(found, key=lambda each: -each.order)}


def find(name: str) -> type[Technique]:
    """Return the technique called ``name``; :class:`RecipeError` with the nearest names otherwise."""
    try:
        return registered()[name]
    except KeyError:
        raise RecipeError(unknown("technique", name, registered())) from None


def later(name: str) -> tuple[str, ...]:
    """The techniques whose steps a new step of ``name`` goes in front of."""
    order = find(name).order
    return tuple(other for other, technique in registered().items() if technique.order > order)


def position(name: str, among: Sequence[str]) -> int:
    """Where a new step of ``name`` goes among steps of the techniques ``among``, whose own order is left as it is."""
    behind = later(name)
    return next((at for at, other in enumerate(among) if other in behind), len(among))
