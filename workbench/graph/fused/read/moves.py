"""Reading what gives the same elements elsewhere: expanded, repeated, upsampled, or in an order no kernel reads."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from workbench.graph.fused.ir import Value
from workbench.graph.fused.nodes import unknown
from workbench.graph.fused.ops import Conv, Gather
from workbench.graph.fused.read.operators import reads
from workbench.graph.fused.read.views import BATCH, Part, View, seen, simple, view_of
from workbench.kernels.records import Window
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
    import torch
else:
    np = lazy("numpy")
    torch = lazy("torch")


class MoveOps:
    """The part of the reader that knows where elements go."""

    def _gathered(self, node, view: View, shape: tuple[int, ...]) -> Value:
        """A copy of what a view shows, in its order, as a value of ``shape``.

        An image is made of a view [batch, channels, height, width], everything else of rows of its last dimension.
        """
        first, *others = view.dims
        if first != (Part(BATCH),) or not others or any(part.is_batch for dim in others for part in dim):
            raise unknown(node, "of a tensor in this order of memory")
        *before, last = range(1, len(view.dims))
        rows, columns, channels = ((2,), (3,), (1,)) if len(shape) == 3 else (before, (), (last,))
        return self._add_op(
            node, Gather, [view.base], Value(shape, view.base.quant), rows=view.offset + view.offsets(*rows),
            columns=view.offsets(*columns), channels=view.offsets(*channels),
        )  # fmt: skip

    def _copied(self, node, view: View) -> View:
        """What a view shows, in memory in its own order."""
        return view_of(self._gathered(node, view, (math.prod(view.sizes[1:]),))).reshaped(view.sizes)

    @reads("aten.expand.default", views=True)
    def _expand(self, node, x, sizes, implicit=False):
        view = seen(node, x)
        if len(sizes) != len(view.dims):
            raise unknown(node, f"from {view.sizes[1:]} to {sizes}")
        for axis, (size, own) in enumerate(zip(sizes, view.sizes, strict=True)):
            if size not in (-1, own):
                if own != 1 or size == BATCH:
                    raise unknown(node, f"from {view.sizes[1:]} to {sizes[1:]}")
                view = view.repeated(axis, size)
        return simple(view)

    @reads("aten.expand_as.default", views=True, live=2)
    def _expand_as(self, node, x, other):
        return self._expand(node, x, seen(node, other).sizes)

    @reads("aten.repeat.default", "aten.tile.default", views=True)
    def _repeat(self, node, x, times):
        view = seen(node, x)
        for axis, count in enumerate(reversed(times), 1):
            if count != 1:
                view = self._repeated(node, view, -axis, count)
        return simple(view)

    @reads("aten.repeat_interleave.self_int", views=True)
    def _repeat_interleave(self, node, x, times, dim=None, *, output_size=None):
        if dim is None:
            raise unknown(node, "of all dimensions")
        return simple(self._repeated(node, seen(node, x), dim, times, each=True))

    def _repeated(self, node, view: View, axis: int, times: int, *, each: bool = False) -> View:
        axis += len(view.dims) if axis < 0 else 0
        if axis < 0 or any(part.is_batch for part in view.dims[axis]):
            raise unknown(node, "of the batch")
        return view.repeated(axis, times, each=each)

    @reads("aten.pixel_shuffle.default", views=True)
    def _pixel_shuffle(self, node, x, factor):
        batch, _, height, width = seen(node, x).sizes
        split = self._reshape(node, x, [batch, -1, factor, factor, height, width])
        mixed = self._permute(node, split, [0, 1, 4, 2, 5, 3])
        return self._reshape(node, mixed, [batch, -1, height * factor, width * factor])

    @reads("aten.pixel_unshuffle.default", views=True)
    def _pixel_unshuffle(self, node, x, factor):
        batch, channels, height, width = seen(node, x).sizes
        sizes = height // factor, width // factor
        split = self._reshape(node, x, [batch, channels, sizes[0], factor, sizes[1], factor])
        return self._reshape(node, self._permute(node, split, [0, 1, 3, 5, 2, 4]), [batch, -1, *sizes])

    @reads("aten.upsample_nearest2d.vec", "aten._upsample_nearest_exact2d.vec")
    def _upsample_nearest2d(self, node, x, sizes, factors):
        _, height, width = x.shape
        pixels = torch.arange(height * width, dtype=torch.float64).view(1, 1, height, width)
        return self._picked(node, x, node.target(pixels, sizes, factors)[0, 0])

    @reads("aten.upsample_nearest1d.vec", "aten._upsample_nearest_exact1d.vec", views=True)
    def _upsample_nearest1d(self, node, x, sizes, factors):
        places = torch.arange(seen(node, x).sizes[-1], dtype=torch.float64).view(1, 1, -1)
        picked = node.target(places, sizes, factors)[0]
        return self._on_line(node, x, lambda image: self._picked(node, image, picked))

    @reads("aten.pad.default", views=True)
    def _pad(self, node, x, sizes, mode="constant", value=None):
        if len(seen(node, x).dims) == 3:
            return self._on_line(
                node, x, lambda image: self._as_value(node, self._padded(node, image, sizes, mode, value))
            )
        return self._padded(node, self._as_value(node, x), sizes, mode, value)

    def _padded(self, node, image: Value, sizes, mode: str, value: float | None) -> Any:
        left, right, top, bottom = sizes if len(sizes) == 4 else (*sizes, 0, 0)
        if len(image.shape) != 3 or min(left, right, top, bottom) < 0 or value or len(sizes) > 4:
            raise unknown(node, f"by {list(sizes)} with {value or 0:g} of shape {image.shape}")
        channels, height, width = image.shape
        if mode != "constant":
            pixels = torch.arange(height * width, dtype=torch.float64).view(1, 1, height, width)
            around = torch.nn.functional.pad(pixels, (left, right, top, bottom), mode)
            return self._picked(node, image, around[0, 0])
        # Zeros as a convolution has them around its input: one of a single weight, 1, leaves the numbers as they are.
        more = max(top, bottom), max(left, right)
        output = Value((channels, height + 2 * more[0], width + 2 * more[1]))
        made = self._add_op(
            node, Conv, [image], output, weight=np.ones((channels, 1, 1, 1), np.float32),
            bias=np.zeros(channels, np.float32), window=Window((1, 1), padding=more), groups=channels,
        )  # fmt: skip
        rows = self._slice(node, made, 2, more[0] - top, more[0] + height + bottom)
        return self._slice(node, rows, 3, more[1] - left, more[1] + width + right)

    def _picked(self, node, image: Value, pixels: torch.Tensor) -> Value:
        """An image of these pixels of another one, which are counted row by row."""
        channels, _, width = image.shape
        rows, columns = pixels[:, 0].long() // width, pixels[0].long() % width
        output = Value((channels, *pixels.shape), image.quant)
        return self._add_op(
            node, Gather, [image], output, rows=(rows * width * channels).numpy(),
            columns=(columns * channels).numpy(), channels=view_of(image).offsets(1),
        )  # fmt: skip
