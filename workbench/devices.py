"""The devices of this machine, and why the others are greyed."""

from __future__ import annotations

import torch


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
