"""Ways to change a model, one file each. A new file here is all that a new technique needs."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from workbench.errors import RecipeError, unknown
from workbench.techniques._base import Context, Task, Technique, TrainingPoint, option

__all__ = ["Context", "Task", "Technique", "TrainingPoint", "find", "option", "registered"]


@cache
def registered() -> dict[str, type[Technique]]:
    """Every technique by the name recipes use, the cheapest to try first, as the page shows them."""
    found = {}
    for module_info in pkgutil.iter_modules(__path__):
        if module_info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        for item in vars(module).values():
            if isinstance(item, type) and issubclass(item, Technique) and item.__module__ == module.__name__:
                found[item.model_fields["do"].default] = item
    return dict(sorted(found.items(), key=lambda pair: -pair[1].order))


def find(name: str) -> type[Technique]:
    """Return the technique called ``name``; :class:`RecipeError` with the nearest names otherwise."""
    try:
        return registered()[name]
    except KeyError:
        raise RecipeError(unknown("technique", name, registered())) from None
