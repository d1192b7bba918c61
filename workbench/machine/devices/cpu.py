"""The processor."""

from __future__ import annotations

from workbench.machine.devices._base import Device


class Cpu(Device):
    """Always there."""

    kind = "cpu"
    rank = 0

    def found(self) -> list[dict[str, str | None]]:
        return [{"name": "cpu", "title": "CPU", "unavailable": None}]
