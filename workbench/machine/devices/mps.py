"""The GPU of Apple's chips."""

from __future__ import annotations

from workbench.machine.devices._base import Device


class Mps(Device):
    """One at most."""

    kind = "mps"
    rank = 20

    def found(self) -> list[dict[str, str | None]]:
        import torch

        here = torch.backends.mps.is_available()
        return [{"name": "mps", "title": "Apple GPU", "unavailable": None if here else "no Apple GPU found"}]

    def synchronize(self, name: str) -> None:
        import torch

        torch.mps.synchronize()
