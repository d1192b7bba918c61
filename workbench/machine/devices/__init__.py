"""The kinds of devices, one file each, those of this machine, and why the others are greyed."""

from __future__ import annotations

import sys
from functools import cache

from workbench.errors import EngineError
from workbench.machine.devices._base import Device
from workbench.plumbing.registry import classes

__all__ = ["Device", "devices", "kind_of", "kinds", "names", "pattern", "require"]


@cache
def kinds() -> dict[str, Device]:
    """Every kind of device by torch's name of it, in the order the page shows them."""
    found = classes(sys.modules[__name__], Device, named_by="kind")
    return {each.kind: each() for each in sorted(found, key=lambda each: (each.rank, each.kind))}


def kind_of(name: str) -> Device:
    """The kind of the device called ``name`` ("cuda:0")."""
    return kinds()[name.partition(":")[0]]


def pattern() -> str:
    """A regular expression of all names that a device may have, here or elsewhere."""
    plain = [name for name, kind in kinds().items() if not kind.numbered]
    numbered = [rf"{name}:\d+" for name, kind in kinds().items() if kind.numbered]
    return f"^({'|'.join([*plain, *numbered])})$"


def names() -> str:
    """These names in words: "cpu, cuda:N or mps"."""
    *most, last = [f"{name}:N" if kind.numbered else name for name, kind in kinds().items()]
    return f"{', '.join(most)} or {last}" if most else last


def devices() -> list[dict[str, str | None]]:
    """Each device as the catalog's ``DeviceInfo`` fields: name, title and, if absent, the reason."""
    return [device for kind in kinds().values() for device in kind.found()]


def require(name: str) -> None:
    """Raise :class:`EngineError` with the reason and the devices that are here, where ``name`` can't be used."""
    found = {str(device["name"]): device["unavailable"] for device in devices()}
    reason = found.get(name, "this machine has no such device")
    if reason:
        here = " or ".join(other for other, unavailable in found.items() if not unavailable)
        raise EngineError(f"device {name} can't be used: {reason}; choose {here}")
