"""Refusing what wouldn't fit, before any of it is allocated."""

from __future__ import annotations

import torch

from workbench.errors import WorkloadError
from workbench.measure.limits import available_memory_bytes

COPIES_OF_MODEL = 2  # the baseline and one variant are in memory together while they are compared


def refuse_beyond_memory(what: str, needed_bytes: int) -> None:
    """Raise if ``needed_bytes`` are more than this machine can give now.

    Raises
    ------
    WorkloadError
        With the estimate and what is there.
    """
    available_bytes = available_memory_bytes()
    if needed_bytes > available_bytes:
        raise WorkloadError(
            f"{what} needs about {gigabytes(needed_bytes)} of memory and {gigabytes(available_bytes)} is free; "
            "use a smaller one or close other programs"
        )


def gigabytes(size_bytes: int) -> str:
    """A size in words: "2.5 GB"."""
    return f"{size_bytes / 1e9:,.2g} GB" if size_bytes < 1e10 else f"{size_bytes / 1e9:,.0f} GB"


def module_bytes(module: torch.nn.Module) -> int:
    """The size of a module's parameters and buffers, which may be on the meta device."""
    tensors = [*module.parameters(), *module.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
