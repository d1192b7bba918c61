"""The embedded workloads that a test may take."""

from __future__ import annotations

from workbench.models import zoo


def always_there() -> list[str]:
    """Those that need nothing fetched, whatever the user has fetched."""
    return [name for name, each in zoo.registered().items() if not each.needs]
