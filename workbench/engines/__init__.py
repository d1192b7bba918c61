"""Ways to execute a variant, one file each. A new file here is all that a new engine needs."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from workbench.engines._base import Engine, Kernel, LayerTimesUnavailable, Runner, Work
from workbench.errors import RecipeError, unknown

__all__ = ["Engine", "Kernel", "LayerTimesUnavailable", "Runner", "Work", "find", "preferred", "registered"]

_ORDER = ("eager", "compiled", "native", "onnxruntime", "openvino")
_PREFERENCE = ("native", "onnxruntime", "openvino", "eager")


@cache
def registered() -> dict[str, Engine]:
    """Every engine by the name recipes use, in the order the page shows them."""
    found = {}
    for module_info in pkgutil.iter_modules(__path__):
        if module_info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        for item in vars(module).values():
            if isinstance(item, type) and issubclass(item, Engine) and item.__module__ == module.__name__:
                found[item.name] = item()
    rank = {name: place for place, name in enumerate(_ORDER)}
    return dict(sorted(found.items(), key=lambda pair: (rank.get(pair[0], len(rank)), pair[0])))


def find(name: str) -> Engine:
    """Return the engine called ``name``; :class:`RecipeError` with the nearest names otherwise."""
    try:
        return registered()[name]
    except KeyError:
        raise RecipeError(unknown("engine", name, [*registered(), "auto"])) from None


def preferred(precision: str = "fp32", device: str = "cpu") -> tuple[str, ...]:
    """The engines that ``"auto"`` tries, in this order: those that run ``precision`` on ``device`` here."""
    here = [name for name in _PREFERENCE if name in registered() and registered()[name].unavailable() is None]
    return tuple(name for name in here if registered()[name].refuses(precision, device) is None) or ("eager",)
