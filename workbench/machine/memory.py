"""Refusing what wouldn't fit, before any of it is allocated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import WorkloadError
from workbench.machine.limits import available_memory_bytes
from workbench.plumbing.words import size

if TYPE_CHECKING:
    import torch

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
            f"{what} needs about {size(needed_bytes)} of memory and {size(available_bytes)} is free; "
            "use a smaller one or close other programs"
        )


def module_bytes(module: torch.nn.Module) -> int:
    """The size of a module's parameters and buffers, which may be on the meta device."""
    from torch.nn.parameter import is_lazy

    tensors = [*module.parameters(), *module.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors if not is_lazy(tensor))
