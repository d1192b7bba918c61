"""What every kind of device is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar


class Device(ABC):
    """One kind of device. Torch is imported where it is needed only: recipes and widgets ask for names alone."""

    kind: ClassVar[str]
    """torch's name of it."""
    numbered: ClassVar[bool] = False
    """Whether a machine may have several, "cuda:0", "cuda:1", …"""
    rank: ClassVar[int]
    """Where it stands among the others on the page."""
    libraries: ClassVar[tuple[str, ...]] = ()
    """Installed packages, beside torch, that it needs: their versions are part of a result's key."""

    @abstractmethod
    def found(self) -> list[dict[str, str | None]]:
        """Those that are here, as the catalog's ``DeviceInfo`` fields; where none is, one with the reason."""

    def synchronize(self, name: str) -> None:  # noqa: B027, most devices are done when they return
        """Wait until everything asked of this device is done."""
