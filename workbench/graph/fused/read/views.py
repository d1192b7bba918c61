"""Tensors that are another look at memory: transposed, split into heads, merged again, and not one byte moved.

A view's dimension is a list of parts, the outermost first; each is so many steps of a stride through the memory of a
value, or the batch. What a model exports for multi-head attention (reshape, permute, unbind, transpose, reshape)
comes and goes here without a kernel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workbench.graph.fused.ir import Value
from workbench.graph.fused.nodes import unknown
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

BATCH = 1_000_003
"""Stands for the batch wherever a model computes with sizes: a prime, so that no other size is a multiple of it."""


@dataclass(frozen=True)
class Part:
    """``size`` steps of ``stride`` elements, of none where the same is seen again and again.

    The batch is the part of size ``BATCH`` and has no stride.
    """

    size: int
    stride: int = 0

    @property
    def is_batch(self) -> bool:
        return self.size == BATCH


Dimension = tuple[Part, ...]


@dataclass(frozen=True)
class View:
    """A look at ``base``, beginning ``offset`` elements into it."""

    base: Value
    dims: tuple[Dimension, ...]
    offset: int = 0

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(math.prod(part.size for part in dim) for dim in self.dims)

    def permuted(self, order: list[int]) -> View:
        return replace(self, dims=tuple(self.dims[axis] for axis in order))

    def reshaped(self, sizes: list[int]) -> View | None:
        """The same elements in the same order under other sizes; ``None`` where memory would have to move."""
        sizes = filled(sizes, math.prod(self.sizes))
        rest = list(_merged([part for dim in self.dims for part in dim]))
        dims = []
        for size in sizes:
            dim: list[Part] = []
            while size > 1:
                if not rest:
                    return None
                part = rest.pop(0)
                if size % part.size == 0:
                    dim.append(part)
                    size //= part.size
                elif part.size % size == 0:
                    inner = part.size // size
                    dim.append(Part(size, part.stride * inner))
                    rest.insert(0, Part(inner, part.stride))
                    size = 1
                else:
                    return None
            dims.append(_merged(dim))
        return None if rest else replace(self, dims=tuple(dims))

    def at(self, axis: int, index: int) -> View | None:
        """Without the dimension ``axis``, at one place of it; ``None`` along the batch."""
        offset = self.offset
        for part in reversed(self.dims[axis]):
            if part.is_batch:
                return None
            offset += index % part.size * part.stride
            index //= part.size
        return replace(self, dims=self.dims[:axis] + self.dims[axis + 1 :], offset=offset)

    def between(self, axis: int, start: int, end: int, step: int = 1) -> View | None:
        """Every ``step``th place from ``start`` to ``end`` of a dimension; ``None`` where they aren't evenly spaced."""
        if (start, end, step) == (0, self.sizes[axis], 1):
            return self
        if len(self.dims[axis]) != 1 or self.dims[axis][0].is_batch:
            return None
        stride = self.dims[axis][0].stride
        dims = list(self.dims)
        dims[axis] = _merged([Part(len(range(start, end, step)), stride * step)])
        return replace(self, dims=tuple(dims), offset=self.offset + start * stride)

    def repeated(self, axis: int, times: int, *, each: bool = False) -> View:
        """With a dimension so many times over, or each of its places before the next one."""
        again, dims = Part(times), list(self.dims)
        dims[axis] = _merged([*dims[axis], again] if each else [again, *dims[axis]])
        return replace(self, dims=tuple(dims))

    def offsets(self, *axes: int) -> np.ndarray:
        """How far into memory each place of these dimensions lies, the last one's places side by side; in elements."""
        places = np.zeros(1, np.int64)
        for part in (part for axis in axes for part in self.dims[axis]):
            places = np.add.outer(places, np.arange(part.size) * part.stride).reshape(-1)
        return places

    def on(self, base: Value, channels: int, new_channels: int) -> View:
        """The same look at another value, whose rows have other widths; the last dimension is that of the rows."""

        def widened(dim: Dimension) -> Dimension:
            return tuple(p if p.is_batch else Part(p.size, p.stride // channels * new_channels) for p in dim)

        last = _merged([Part(new_channels, 1)])
        return View(base, (*map(widened, self.dims[:-1]), last))

    @property
    def covers_base(self) -> bool:
        """Whether every element of the base is in it exactly once."""
        parts = sorted((p for dim in self.dims for p in dim if not p.is_batch), key=lambda p: p.stride)
        reached = 1
        for part in parts:
            if part.stride != reached:
                return False
            reached *= part.size
        batches = sum(p.is_batch for dim in self.dims for p in dim)
        return self.offset == 0 and batches == 1 and reached == math.prod(self.base.shape)

    @property
    def rows(self) -> tuple[int, int, int] | None:
        """(rows, channels, pitch in elements) where an image of it is rows of channels side by side; else ``None``."""
        first, *others = self.dims
        if [p.size for p in first] != [BATCH] or any(len(dim) > 1 for dim in others) or not 1 <= len(others) <= 2:
            return None
        channels = others[-1][0] if others[-1] else Part(1, 1)
        if channels.stride != 1 or channels.is_batch:
            return None
        row = others[0][0] if len(others) == 2 and others[0] else Part(1, channels.size)
        apart = not row.is_batch and row.stride >= channels.size
        return (row.size, channels.size, row.stride) if apart else None


def filled(sizes: Sequence[int], whole: int) -> list[int]:
    """Sizes with the one given as −1 worked out from the product of all."""
    known = math.prod(size for size in sizes if size != -1)
    return [whole // known if size == -1 else size for size in sizes]


def view_of(value: Value) -> View:
    """The look at a value in the model's own order of dimensions."""
    image = value.shape if len(value.shape) == 3 else value.channels_last_of
    if image:
        channels, height, width = image
        parts = [Part(channels, 1), Part(height, width * channels), Part(width, channels)]
        own = [[part] for part in parts] if len(value.shape) == 3 else [parts]
    elif len(value.shape) == 2:
        own = [[Part(value.shape[0], value.shape[1])], [Part(value.shape[1], 1)]]
    else:
        own = [[Part(value.shape[0], 1)]]
    return View(value, ((Part(BATCH),), *map(_merged, own)))


def _merged(parts: list[Part]) -> Dimension:
    """Neighbouring parts that are one walk through memory, as one."""
    merged: list[Part] = []
    for part in parts:
        if part.size == 1:
            continue
        outer = merged[-1] if merged else None
        if outer and not (outer.is_batch or part.is_batch) and outer.stride == part.size * part.stride:
            merged[-1] = Part(outer.size * part.size, part.stride)
        else:
            merged.append(part)
    return tuple(merged)


def seen(node, x) -> View:
    """A view of what a handler was given."""
    if isinstance(x, Value):
        return view_of(x)
    if isinstance(x, View):
        return x
    raise unknown(node, "of what is known to kernels only as a part of something else")


def simple(view: View) -> View | Value:
    """The value itself where the view shows it as it is."""
    return view.base if view == view_of(view.base) else view


def rows_of(view: View) -> tuple[tuple[int, ...], int] | None:
    """Shape and pitch where a view is rows of channels side by side."""
    rows = view.rows
    return rows and ((rows[:2] if len(view.dims) == 3 else rows[1:2]), rows[2])


def pixels(view: View) -> tuple[tuple[int, ...], int] | None:
    """Shape and pitch where a view [batch, channels, height, width] is pixels of channels side by side."""
    if len(view.dims) != 4 or view.dims[0] != (Part(BATCH),):
        return None
    _, channels, height, width = view.sizes
    last_to_first = replace(view, dims=(view.dims[0], *view.dims[2:], view.dims[1])).reshaped(
        [BATCH, height * width, channels]
    )
    rows = last_to_first and last_to_first.rows
    return rows and ((channels, height, width), rows[2])
