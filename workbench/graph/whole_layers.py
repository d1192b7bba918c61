"""GRU and LSTM calls that take an export no longer for more steps.

A graph holds such a layer as one call, but to learn the shapes that it gives PyTorch goes through all its steps: ten
seconds for a hundred. One step tells the same.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING

from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")

_shapes_are_enough: ContextVar[bool] = ContextVar("_shapes_are_enough", default=False)
"""Whether nobody looks at the numbers that layers give here: others may trace a model meanwhile, for its operations."""
_Layer = Callable[..., tuple["torch.Tensor", ...]]


@contextlib.contextmanager
def known_by_one_step() -> Iterator[None]:
    """Have GRU and LSTM calls on tensors without numbers go through one step only, in this thread."""
    _install()
    token = _shapes_are_enough.set(True)
    try:
        yield
    finally:
        _shapes_are_enough.reset(token)


@functools.cache
def _install() -> None:
    """Put :func:`_by_one_step` before what PyTorch has for these calls where it traces them."""
    key = torch._C.DispatchKey
    for operation in (torch.ops.aten.gru.input, torch.ops.aten.lstm.input):
        kernels = getattr(operation, "py_kernels", {})  # PyTorch's own: where it keeps them otherwise, exports are slow
        for each in (key.Autograd, key.CompositeImplicitAutograd):
            if each in kernels:
                kernels[each] = _by_one_step(kernels[each])
                operation._dispatch_cache.clear()


def _by_one_step(layer: _Layer) -> _Layer:
    """``layer`` of its first step, and outputs that are laid out in memory as those of all steps would be."""

    @functools.wraps(layer)
    def shaped(x, *others):
        if not _shapes_are_enough.get():
            return layer(x, *others)
        batch_first = others[-1]
        steps_at = 1 if batch_first else 0
        outputs, *last = layer(x.narrow(steps_at, 0, 1), *others)
        steps_first = outputs.transpose(0, steps_at).repeat(x.shape[steps_at], 1, 1)
        return steps_first.transpose(0, steps_at), *last

    return shaped
