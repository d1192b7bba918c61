"""The embedded workloads, one file each. A new file here, with its card and weights, is all that a new one needs."""

from __future__ import annotations

import sys
from functools import cache

from workbench.models.zoo._base import Embedded, Plan, Source
from workbench.plumbing.registry import instances

__all__ = ["Embedded", "Plan", "Source", "registered"]


@cache
def registered() -> dict[str, Embedded]:
    """Every embedded workload by its name."""
    found = instances(sys.modules[__name__], Embedded)
    return {each.name: each for each in sorted(found, key=lambda each: each.name)}
