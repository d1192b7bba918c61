"""What ``workbench doctor`` says about this machine."""

from __future__ import annotations

from workbench.core import offer
from workbench.machine import identity
from workbench.store import Store, data_directory


def rows() -> list[tuple[str, str]]:
    """Each fact and its value, written for people."""
    found = identity.environment(threads=None, seed=0, libraries=offer.libraries())
    store = Store()
    return [
        ("cpu", found["cpu"]),
        ("cores", str(found["cores"] or "unknown")),
        ("usable threads", str(found["usable_threads"])),
        ("cpu quota", "no quota" if found["cpu_quota"] is None else f"{found['cpu_quota']:g} CPUs"),
        ("instruction sets", ", ".join(found["isa"]) or "none that matter here"),
        ("governor", found["governor"] or "unknown"),
        ("load", f"{found['load']:g}"),
        ("memory", f"{found['memory_bytes'] / 1e9:.1f} GB"),
        ("os", found["os"]),
        ("python", found["python"]),
        *found["versions"].items(),
        ("history", str(store.notice or data_directory())),
        *((f"engine {info.name}", info.unavailable or "available") for info in offer.engine_infos()),
    ]
