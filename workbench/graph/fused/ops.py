"""The operations of the native engine's graph, one class for each kind.

A base class says what a kernel can do to its result in the same go: a kernel of a :class:`TakesQuantization` can store
it as u8, one of a :class:`TakesActivation` also puts it through an activation, and one of a :class:`TakesResidual` also
adds another value before that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.kernels.records import Window

if TYPE_CHECKING:
    import numpy as np

    from workbench.graph.fused.ir import Value


@dataclass(frozen=True)
class Activation:
    """``name`` as in ``records.ACTIVATIONS``; the bounds are those of "clamp"."""

    name: str = "clamp"
    minimum: float = float("-inf")
    maximum: float = float("inf")


@dataclass(eq=False)
class Op:
    """One operation. ``layers`` are the modules it came from, the main one first."""

    inputs: list[Value]
    output: Value
    layers: list[str] = field(default_factory=list, kw_only=True)

    @property
    def reads(self) -> list[Value]:
        """Everything it reads."""
        return self.inputs


# What a kernel does to its result before storing it


class TakesQuantization(Op):
    """May store its result as u8."""


@dataclass(eq=False, kw_only=True)
class TakesActivation(TakesQuantization):
    """May end in an activation."""

    activation: Activation | None = None


@dataclass(eq=False, kw_only=True)
class TakesResidual(TakesActivation):
    """May add another value of its output's shape before the activation."""

    residual: Value | None = None

    @property
    def reads(self) -> list[Value]:
        return [*self.inputs, *([self.residual] if self.residual is not None else [])]


# Layers with weights


@dataclass(eq=False, kw_only=True)
class Weighted(Op):
    """A layer that multiplies by ``weight``, by output first, and adds ``bias``, float32 [outputs]."""

    weight: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class Pass:
    """A window that slides over a convolution's input, and the outputs it makes.

    These begin at ``first`` and lie ``apart`` pixels apart.
    ``taps``: the rows and columns of the weight that it has, in its order; ``None`` for the weight as it is.
    """

    window: Window
    first: tuple[int, int] = (0, 0)
    apart: tuple[int, int] = (1, 1)
    taps: tuple[list[int], list[int]] | None = None

    def makes(self, image: tuple[int, ...]) -> tuple[int, int]:
        """Height and width of what it makes of an output."""
        whole = zip(image[:2], self.first, self.apart, strict=True)
        height, width = (-((first - size) // apart) for size, first, apart in whole)
        return height, width


@dataclass(eq=False, kw_only=True)
class Conv(Weighted, TakesResidual):
    """A convolution or linear layer; ``weight`` is [outputs, inputs / groups, height, width].

    With ``steps`` (float32, by output channel), ``weight`` is int8 and means weight · step; else it is float32.
    ``own_range``: the input comes as floats and is quantized at run time, each row (an image's features, a token's) in
    its own range. ``reason``: why it isn't computed as the recipe asked, where the engine chose so.
    """

    window: Window
    groups: int
    steps: np.ndarray | None = None
    own_range: bool = False
    reason: str = ""

    @property
    def is_depthwise(self) -> bool:
        """Whether it is a convolution of each channel by itself."""
        return self.groups > 1 and self.groups == self.inputs[0].image[2] == self.output.image[2]

    @property
    def passes(self) -> list[Pass]:
        """What it does, one window after the other."""
        return [Pass(self.window)]


class TransposedConv(Conv):
    """A convolution whose window slides over its output, in steps of its stride, and adds an input times the weight.

    An output gets something of every ``stride``th tap alone. So those that get it of the same taps are what another
    window makes, which slides over the input.
    """

    @property
    def passes(self) -> list[Pass]:
        window, (height, width, _) = self.window, self.output.image
        settings = zip(window.size, window.stride, window.padding, window.dilation, strict=True)
        rows, columns = (
            [(first, *_taps(first, *each)) for first in range(min(each[1], size))]
            for each, size in zip(settings, (height, width), strict=True)
        )
        return [
            Pass(
                Window((max(1, len(y_taps)), max(1, len(x_taps))), (1, 1), (y_padding, x_padding), (y_apart, x_apart)),
                (y, x), window.stride, (y_taps, x_taps),
            )
            for y, y_taps, y_padding, y_apart in rows
            for x, x_taps, x_padding, x_apart in columns
        ]  # fmt: skip


def _taps(first: int, size: int, stride: int, padding: int, dilation: int) -> tuple[list[int], int, int]:
    """Along an axis: taps that reach outputs ``first``, ``first + stride``, …; padding and dilation of their window."""
    reach = {tap: first + padding - tap * dilation for tap in reversed(range(size))}
    inputs = {tap: place // stride for tap, place in reach.items() if place % stride == 0}
    begin, *following = inputs.values() or [0]
    return list(inputs), -begin, following[0] - begin if following else 1


@dataclass(eq=False, kw_only=True)
class WeightOnly(Weighted, TakesResidual):
    """A linear layer over floats; ``weight`` [outputs, inputs] is int8 of ``bits`` bits.

    ``steps``, float32 [outputs, groups], has one for each ``group_size`` inputs.
    """

    steps: np.ndarray
    bits: int
    group_size: int

    @property
    def bits_in_memory(self) -> int:
        """What each weight takes where it is multiplied: kernels read as many from each byte."""
        return next(width for width in (1, 2, 4, 8) if width >= self.bits)


@dataclass(eq=False, kw_only=True)
class Recurrent(Weighted):
    """The steps of a GRU or LSTM, from zeros on: one input row for each, with what enters each gate of each direction.

    ``cell`` is one of ``records.CELLS``. ``weight`` [directions, gates · hidden, hidden] multiplies the state before;
    ``bias`` is [directions, gates · hidden]. With ``steps`` (float32, as ``bias``), ``weight`` is int8 and means
    weight · step; else it is float32. The second direction goes from the last row to the first. ``state_in_bytes``: the
    state before is rounded to eight bits where it is multiplied, see :mod:`workbench.graph.recurrent`.
    """

    cell: str
    steps: np.ndarray | None = None
    state_in_bytes: bool = False

    @property
    def directions(self) -> int:
        return len(self.weight)


@dataclass(eq=False, kw_only=True)
class Embedding(TakesQuantization):
    """Rows of ``table``, float32 [rows, channels], by ids."""

    table: np.ndarray


# Over pixels and channels


@dataclass(eq=False, kw_only=True)
class Pool(TakesQuantization):
    """The average or maximum of a window; ``count_padding``: an average divides by the pixels of the border, too."""

    window: Window
    average: bool
    count_padding: bool = True


@dataclass(eq=False, kw_only=True)
class Norm(TakesActivation):
    """To mean 0 and variance 1 (``epsilon`` added), then times ``gain`` plus ``shift``, float32 [channels]."""

    gain: np.ndarray
    shift: np.ndarray
    epsilon: float


class LayerNorm(Norm):
    """Over the channels of each pixel."""


@dataclass(eq=False, kw_only=True)
class GroupNorm(Norm):
    """Over each of ``groups`` groups of channels of the whole image."""

    groups: int


class Softmax(Op):
    """Over the channels of each pixel."""


@dataclass(frozen=True)
class Heads:
    """Where queries, keys or values of all heads lie in a value; distances in elements."""

    offset: int
    heads: int
    head_stride: int
    rows: int
    row_stride: int
    size: int


@dataclass(eq=False, kw_only=True)
class Attention(TakesQuantization):
    """softmax(query · keyᵀ · scale + mask) · value of its three inputs.

    ``causal``: a query sees the keys up to its own place. ``mask`` is [masks · queries, keys] or, the same for each
    query, [masks, keys]; ``masks``: one, or one for each head. ``mask_shows``: it isn't added, but shows the keys where
    it isn't 0. ``bias``: a constant mask in its place, float32 [masks, queries or 1, keys]. ``halves``: products may be
    of bf16, where the instruction set has them.
    """

    query: Heads
    key: Heads
    value: Heads
    scale: float
    causal: bool
    mask: Value | None = None
    masks: int = 1
    mask_shows: bool = False
    bias: np.ndarray | None = None
    halves: bool = False

    @property
    def reads(self) -> list[Value]:
        return [*self.inputs, *([self.mask] if self.mask is not None else [])]


# Of each element by itself


@dataclass(eq=False, kw_only=True)
class Pairwise(TakesActivation):
    """Of two inputs; or of one and a ``constant``, float32 [height, width, channels]."""

    constant: np.ndarray | None = None


class Sum(Pairwise):
    """One plus the other."""


class Multiply(Pairwise):
    """One times the other, which may be one factor for each channel."""


@dataclass(eq=False, kw_only=True)
class Activate(TakesQuantization):
    """An activation by itself."""

    activation: Activation


@dataclass(eq=False, kw_only=True)
class Scale(TakesQuantization):
    """Times a number, plus another."""

    factor: float = 1.0
    shift: float = 0.0


class Convert(Op):
    """The same numbers in another storage."""


# Of memory


class Flatten(Op):
    """The same memory in another shape."""


@dataclass(eq=False, kw_only=True)
class Slice(Op):
    """A part of a value's memory: where it begins and how far its rows are apart, in elements."""

    offset: int
    pitch: int


@dataclass(eq=False, kw_only=True)
class Gather(Op):
    """Elements of its input in places of their own, stored as they were.

    That at [y, x, c] of what it makes lies ``rows[y] + columns[x] + channels[c]`` elements into the input's memory.
    """

    rows: np.ndarray
    columns: np.ndarray
    channels: np.ndarray


class Concat(TakesQuantization):
    """Images side by side in their channels."""
