"""The devices of this machine, and why the others are greyed."""

from __future__ import annotations

import torch

from workbench.errors import EngineError


def devices() -> list[dict[str, str | None]]:
    """Each device as the catalog's ``DeviceInfo`` fields: name, title and, if absent, the reason."""
    found: list[dict[str, str | None]] = [{"name": "cpu", "title": "CPU", "unavailable": None}]
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            found.append({"name": f"cuda:{index}", "title": torch.cuda.get_device_name(index), "unavailable": None})
    else:
        why = "no CUDA device found" if torch.version.cuda else "this torch is built without CUDA"
        found.append({"name": "cuda:0", "title": "CUDA", "unavailable": why})
    has_mps = torch.backends.mps.is_available()
    found.append({"name": "mps", "title": "Apple GPU", "unavailable": None if has_mps else "no Apple GPU found"})
    return found


def require(name: str) -> None:
    """Raise :class:`EngineError` with the reason and the devices that are here, where ``name`` can't be used."""
    found = {str(device["name"]): device["unavailable"] for device in devices()}
    reason = found.get(name, "this machine has no such device")
    if reason:
        here = " or ".join(other for other, unavailable in found.items() if not unavailable)
        raise EngineError(f"device {name} can't be used: {reason}; choose {here}")
