"""A compiled program: tensors with their places in one arena, and the steps over them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from workbench import kernels
from workbench.errors import EngineError
from workbench.kernels.records import Dtype, Place, Record

_LINE = 64  # bytes of a cache line


@dataclass(frozen=True)
class Tensor:
    """One image of a tensor, channels last: ``height`` × ``width`` pixels of ``channels`` values.

    ``pads`` (top, left, bottom, right) are border pixels that really lie in memory, filled with the byte
    ``border``; ``offset`` is where pixel (0, 0) begins. ``pixel_pitch`` is in bytes.
    """

    place: Place
    height: int
    width: int
    channels: int
    dtype: Dtype
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    border: int = 0
    pixel_pitch: int = 0
    row_pitch: int = 0
    offset: int = 0

    @classmethod
    def of(cls, place, height, width, channels, dtype, pads=(0, 0, 0, 0), border=0, pixel_pitch=0) -> Tensor:
        """A tensor with its pitches computed and its pixel (0, 0) behind its own border."""
        pixel_pitch = pixel_pitch or channels * dtype.size
        row_pitch = (pads[1] + width + pads[3]) * pixel_pitch
        offset = pads[0] * row_pitch + pads[1] * pixel_pitch
        return cls(place, height, width, channels, dtype, tuple(pads), border, pixel_pitch, row_pitch, offset)

    @property
    def size_bytes(self) -> int:
        """Of one image, border included."""
        return (self.pads[0] + self.height + self.pads[2]) * self.row_pitch

    def lies_within(self, size_bytes: int) -> bool:
        """Whether one image of it, border included, is in the first ``size_bytes`` of its place."""
        top, left, bottom, right = self.pads
        first = self.offset - top * self.row_pitch - left * self.pixel_pitch
        last = self.offset + (self.height - 1 + bottom) * self.row_pitch + (self.width - 1 + right) * self.pixel_pitch
        return first >= 0 and last + self.channels * self.dtype.size <= size_bytes

    @property
    def row(self) -> list[int]:
        """As the core reads it."""
        return [
            int(self.place), self.offset, self.height, self.width, self.channels, self.pixel_pitch, self.row_pitch,
            int(self.dtype), *self.pads, self.border,
        ]  # fmt: skip


@dataclass
class Builder:
    """Collects tensors and steps; :meth:`build` hands them to the core."""

    tensors: list[Tensor] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)

    def tensor(self, tensor: Tensor) -> int:
        """Add a tensor and return the number that steps name it by."""
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def build(self, isa: str, input_bytes: int, output_bytes: int, arena_bytes: int) -> Program:
        """Pack the weights and make the program; sizes are bytes per image."""
        return Program(isa, self.tensors, self.records, input_bytes, output_bytes, arena_bytes)


class Program:
    """Runs whole batches in one call of the core. Safe to call from several threads."""

    def __init__(
        self,
        isa: str,
        tensors: list[Tensor],
        records: list[Record],
        input_bytes: int,
        output_bytes: int,
        arena_bytes: int,
    ):
        self._core = kernels.core()
        places = {Place.ARENA: arena_bytes, Place.INPUT: input_bytes, Place.OUTPUT: output_bytes}
        if not all(tensor.lies_within(places[tensor.place]) for tensor in tensors):  # of a file that was tampered with
            raise EngineError("the native program can't be built: a tensor lies outside its memory")
        rows = np.array([tensor.row for tensor in tensors], dtype=np.int64).tobytes()
        try:
            self._program = self._core.build(
                isa, rows, [tuple(r) for r in records], input_bytes, output_bytes, image_stride(arena_bytes)
            )
        except ValueError as error:
            raise EngineError(f"the native program can't be built: {error}") from None
        self.kernels: list[str] = self._core.kernels(self._program)
        self.run: Callable[[int, int, int, int, int], None] = partial(self._core.run, self._program)
        """run(input pointer, output pointer, batch, chunk, threads): float32 memory to float32 memory.

        It doesn't hold Python's lock. ``chunk`` 0: the threads share each step. Above 0: each takes that
        many images through all steps.
        """

    def step_times_ns(self, input_pointer: int, output_pointer: int, batch: int, threads: int) -> list[float]:
        """Run once and return the nanoseconds each step took."""
        return self._core.times(self._program, input_pointer, output_pointer, batch, 0, threads)


def image_stride(arena_bytes: int) -> int:
    """Bytes between the images of a batch: an odd number of cache lines, so that they don't share cache sets."""
    lines = -(-max(arena_bytes, 1) // _LINE)
    return (lines + 1 - lines % 2) * _LINE
