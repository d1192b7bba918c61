"""Modules imported at their first use.

A notebook kernel validates recipes and draws widgets without torch in its memory, so files that
both declare options and run code name their heavy modules through :func:`lazy`.
"""

from __future__ import annotations

import importlib
from functools import cached_property
from types import ModuleType
from typing import Any


class _LazyModule:
    def __init__(self, name: str) -> None:
        self._name = name

    @cached_property
    def _module(self) -> ModuleType:
        return importlib.import_module(self._name)

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._module, attribute)

    def __repr__(self) -> str:
        return f"<module {self._name!r}, imported at first use>"


def lazy(name: str) -> Any:
    """Return a stand-in for the module ``name`` that imports it when an attribute is asked for."""
    return _LazyModule(name)
