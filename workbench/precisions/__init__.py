"""Number formats that layers can be asked to compute in, one file each. A new file here is all that a new one needs."""

from __future__ import annotations

import sys
from functools import cache

from workbench.errors import RecipeError, unknown
from workbench.plumbing.registry import instances
from workbench.precisions._base import KINDS, Floats, Integers, Precision

__all__ = ["KINDS", "Floats", "Integers", "Precision", "find", "registered"]


@cache
def registered() -> dict[str, Precision]:
    """Every precision by the name recipes use, in the order the page shows them."""
    found = instances(sys.modules[__name__], Precision)
    return {each.name: each for each in sorted(found, key=lambda each: (each.order, each.name))}


def find(name: str) -> Precision:
    """Return the precision called ``name``; :class:`RecipeError` with the nearest names otherwise."""
    try:
        return registered()[name]
    except KeyError:
        raise RecipeError(unknown("precision", name, registered())) from None
