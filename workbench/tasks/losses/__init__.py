"""What training makes small, one file each. A new file here is all that a new one needs."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

from workbench.errors import WorkloadError, unknown
from workbench.plumbing.registry import instances
from workbench.tasks._given import meant
from workbench.tasks.losses._base import Loss
from workbench.tasks.losses._function import FunctionLoss

__all__ = ["Loss", "find", "of", "registered"]


@cache
def registered() -> dict[str, Loss]:
    """Every loss by its name."""
    found = instances(sys.modules[__name__], Loss)
    return {each.name: each for each in sorted(found, key=lambda each: each.name)}


def find(name: str) -> Loss:
    """Return the loss called ``name``; :class:`WorkloadError` with the nearest names otherwise."""
    try:
        return registered()[name]
    except KeyError:
        raise WorkloadError(unknown("loss", name, registered())) from None


def of(given: Any) -> Loss:
    """The loss that a user means by its name, or by a function ``(outputs, targets) -> scalar``.

    Raises
    ------
    WorkloadError
        It is none of these, or there is none of that name.
    """
    forms = f"{', '.join(registered())}, or a function (outputs, targets) -> scalar"
    return meant("loss", given, Loss, find, FunctionLoss, forms)
