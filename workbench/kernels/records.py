"""The steps of a program as the compiled core reads them: whole numbers, floats and arrays, in its order.

The mirror of the ``make_…`` functions in ``src/step_….cpp``. Members of enumerations, ``ACTIVATIONS`` and ``CELLS``
have the names and order that they have in the core: a test compares them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np


class Kind(IntEnum):
    """What a step does."""

    CONV = 0
    DEPTHWISE = 1
    POOL = 2
    ELEMENTWISE = 3
    IMAGE_IN = 4
    IMAGE_OUT = 5
    LAYER_NORM = 6
    SOFTMAX = 7
    ATTENTION = 8
    EMBEDDING = 9
    GROUP_NORM = 10
    QUANTIZE_ROWS = 11
    RESCALE_ROWS = 12
    WEIGHT_ONLY = 13
    RECURRENT = 14
    GATHER = 15


class Dtype(IntEnum):
    """How values are stored."""

    U8 = 0
    F32 = 1
    BF16 = 2
    I32 = 3

    @property
    def size(self) -> int:
        """Bytes of one value."""
        return {Dtype.U8: 1, Dtype.BF16: 2}.get(self, 4)


class Place(IntEnum):
    """Which memory a tensor lives in."""

    ARENA = 0
    INPUT = 1
    OUTPUT = 2


GROUPS_AT_ONCE = 16
"""The most 4-byte groups of taps that any convolution kernel reads at once."""
ACTIVATIONS = ("clamp", "hardswish", "silu", "gelu", "gelu_tanh", "sigmoid", "tanh", "hardsigmoid")
"""What a step may do to its result, as the core numbers them."""
CELLS = ("gru", "lstm")
"""Recurrent layers, as the core numbers them."""


class Record(NamedTuple):
    """One step, ready to be handed over."""

    integers: bytes
    floats: bytes
    arrays: tuple[bytes, ...]


@dataclass(frozen=True)
class Epilogue:
    """What a step does to its result before storing it; the formulas are in ``src/kernel_table.h``."""

    act: str = "clamp"
    zero_point: int = 0
    residual_scale: float = 0.0
    minimum: float = -math.inf
    maximum: float = math.inf
    inverse_step: float = 1.0
    low: float = 0.0
    high: float = 255.0

    @property
    def integers(self) -> list[int]:
        """As the core reads them."""
        return [ACTIVATIONS.index(self.act), self.zero_point]

    @property
    def floats(self) -> list[float]:
        """As the core reads them."""
        return [self.residual_scale, self.minimum, self.maximum, self.inverse_step, self.low, self.high]


@dataclass(frozen=True)
class Window:
    """A sliding window: sizes in pixels, as (vertical, horizontal)."""

    size: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)

    @property
    def integers(self) -> list[int]:
        """As the core reads them."""
        return [*self.size, *self.stride, *self.padding, *self.dilation]


def conv(
    input: int,
    output: int,
    residual: int | None,
    window: Window,
    groups: int,
    vectors: int,
    zero_point: int,
    epilogue: Epilogue,
    weights: np.ndarray,
    scale: np.ndarray,
    bias: np.ndarray,
) -> Record:
    """A convolution or linear step. ``vectors``: channel vectors per tile, 1 to 4, a wish."""
    head = [Kind.CONV, input, output, _or_none(residual), *window.integers, groups, vectors, zero_point]
    return _record(head + epilogue.integers, epilogue.floats, weights, _f32(scale), _f32(bias))


def depthwise(
    input: int,
    output: int,
    residual: int | None,
    window: Window,
    zero_point: int,
    epilogue: Epilogue,
    weights: np.ndarray,
    scale: np.ndarray,
    bias: np.ndarray,
) -> Record:
    """A depthwise convolution step; ``weights`` [channels, height, width]."""
    head = [Kind.DEPTHWISE, input, output, _or_none(residual), *window.integers, zero_point]
    return _record(head + epilogue.integers, epilogue.floats, weights, _f32(scale), _f32(bias))


def pool(
    input: int,
    output: int,
    window: Window,
    *,
    average: bool,
    count_padding: bool = True,
    zero_points: tuple[int, int] = (0, 0),
    step_ratio: float = 1.0,
) -> Record:
    """A pooling step. ``step_ratio``: the input's quantization step divided by the output's."""
    head = [Kind.POOL, input, output, *window.integers, int(average), int(count_padding), *zero_points]
    return _record(head, [step_ratio])


def elementwise(
    a: int,
    b: int | None,
    output: int,
    epilogue: Epilogue,
    *,
    multiply: bool = False,
    a_scale: float = 1.0,
    b_scale: float = 1.0,
    bias: float = 0.0,
    b_bias: float = 0.0,
    constant: np.ndarray | None = None,
) -> Record:
    """a · a_scale + bias, then plus b · b_scale or times (b · b_scale + b_bias).

    ``constant``, float32 of the output's own shape, stands in for ``b`` in every image.
    """
    head = [Kind.ELEMENTWISE, a, _or_none(b), output, int(multiply)]
    arrays = [] if constant is None else [_f32(constant)]
    return _record(head + epilogue.integers, [*epilogue.floats, a_scale, b_scale, bias, b_bias], *arrays)


def image_in(input: int, output: int, epilogue: Epilogue, scale: float = 1.0) -> Record:
    """Float planes of the program's input, NCHW, times ``scale``, into channels-last pixels."""
    return _record([Kind.IMAGE_IN, input, output, *epilogue.integers], [*epilogue.floats, scale])


def image_out(input: int) -> Record:
    """Float channels-last pixels into the program's NCHW output."""
    return _record([Kind.IMAGE_OUT, input], [])


def layer_norm(
    input: int, output: int, epilogue: Epilogue, epsilon: float, scale: np.ndarray, bias: np.ndarray
) -> Record:
    """Each pixel's channels to mean 0 and variance 1, then times ``scale`` plus ``bias`` by channel."""
    head = [Kind.LAYER_NORM, input, output, *epilogue.integers]
    return _record(head, [*epilogue.floats, epsilon], _f32(scale), _f32(bias))


def group_norm(
    input: int, output: int, groups: int, epilogue: Epilogue, epsilon: float, scale: np.ndarray, bias: np.ndarray
) -> Record:
    """Each group of channels of an image to mean 0 and variance 1, then times ``scale`` plus ``bias`` by channel."""
    head = [Kind.GROUP_NORM, input, output, groups, *epilogue.integers]
    return _record(head, [*epilogue.floats, epsilon], _f32(scale), _f32(bias))


def softmax(input: int, output: int) -> Record:
    """Over each pixel's channels; floats."""
    return _record([Kind.SOFTMAX, input, output], [])


def attention(
    parts: tuple[int, int, int],
    output: int,
    scratch: int,
    head_pitches: tuple[int, int, int],
    heads: int,
    epilogue: Epilogue,
    *,
    scale: float,
    causal: bool,
    mask: int | None = None,
    masks: int = 1,
    mask_shows: bool = False,
    bias: np.ndarray | None = None,
    halves: bool = False,
) -> Record:
    """softmax(query · keyᵀ · scale) · value for each head.

    ``parts``: the first head's queries, keys and values, one row of channels for each token; the next head's begin
    ``head_pitches`` bytes on. ``scratch``: :func:`attention_scratch_floats` for each head. ``mask``: ``masks`` (one, or
    one for each head) on top of each other, of one row of keys or one for each query, see ``AttentionArgs`` in
    ``src/kernel_table.h``; or ``bias``, constants [masks, queries or 1, keys]. ``halves``: products may be of bf16,
    where the instruction set multiplies these faster.
    """
    if bias is not None:
        masks = len(bias)
    numbers = [*head_pitches, heads, int(causal), int(mask_shows), masks, int(halves)]
    head = [Kind.ATTENTION, *parts, output, scratch, _or_none(mask), *numbers]
    return _record(head + epilogue.integers, [*epilogue.floats, scale], _f32(np.zeros(0) if bias is None else bias))


def attention_scratch_floats(keys: int, size: int, value_size: int) -> int:
    """Scratch of one head, as in ``src/kernel_table.h``."""
    keys, *panels = (-(-n // 32) * 32 for n in (keys, size, value_size))
    halves = (keys + 16) * panels[0] + keys * panels[1]
    return max(keys * size, halves // 2) + keys * 16


def embedding(ids: int, output: int, epilogue: Epilogue, scale: float, table: np.ndarray) -> Record:
    """Rows of ``table`` [rows, channels], times ``scale``, by ids that come as floats."""
    return _record([Kind.EMBEDDING, ids, output, *epilogue.integers], [*epilogue.floats, scale], _f32(table))


def quantize_rows(input: int, output: int, ranges: int) -> Record:
    """Rows of floats to u8, each in its own range; its step and zero point go to ``ranges``, two floats a row."""
    return _record([Kind.QUANTIZE_ROWS, input, output, ranges], [])


def rescale_rows(
    input: int,
    ranges: int,
    output: int,
    residual: int | None,
    epilogue: Epilogue,
    weight_sums: np.ndarray,
    scale: np.ndarray,
    bias: np.ndarray,
) -> Record:
    """Int32 sums of such rows times weights, whose own sums by channel are ``weight_sums``, to numbers."""
    head = [Kind.RESCALE_ROWS, input, ranges, output, _or_none(residual), *epilogue.integers]
    return _record(head, epilogue.floats, weight_sums.astype(np.int32), _f32(scale), _f32(bias))


def weight_only(
    input: int,
    output: int,
    residual: int | None,
    bits: int,
    group_size: int,
    epilogue: Epilogue,
    weights: np.ndarray,
    group_scales: np.ndarray,
    order: np.ndarray,
    scale: np.ndarray,
    bias: np.ndarray,
) -> Record:
    """A linear layer over floats: ``weights`` int8 [outputs, inputs] of ``bits`` bits, stored in so many.

    ``group_scales`` [outputs, groups] has one for each ``group_size`` inputs; input i of a row lies ``order[i]`` on.
    """
    head = [Kind.WEIGHT_ONLY, input, output, _or_none(residual), bits, group_size, *epilogue.integers]
    arrays = weights.astype(np.int8), _f32(group_scales), order.astype(np.int32), _f32(scale), _f32(bias)
    return _record(head, epilogue.floats, *arrays)


def recurrent(
    input: int,
    output: int,
    memory: int | None,
    state_bytes: int | None,
    cell: str,
    directions: int,
    weights: np.ndarray,
    scale: np.ndarray,
    bias: np.ndarray,
) -> Record:
    """A recurrent layer over rows, one for each time step, in which each direction and gate has its projections.

    ``weights`` [directions, gates · hidden, hidden], float32 or int8, multiply the state before; ``scale`` and ``bias``
    [directions, gates · hidden] are those of the products. ``memory``: floats for the units' own state, of an LSTM.
    ``state_bytes``: room for two states of :func:`state_bytes_of` each, where these are multiplied as bytes.
    """
    bits = 8 if weights.dtype == np.int8 else 32
    head = [Kind.RECURRENT, input, output, _or_none(memory), _or_none(state_bytes), CELLS.index(cell), directions, bits]
    return _record(head, [], weights if bits == 8 else _f32(weights), _f32(scale), _f32(bias))


def state_bytes_of(directions: int, hidden: int) -> int:
    """What the states of a recurrent layer take as bytes, in whole groups of four for each direction."""
    return directions * -(-hidden // 4) * 4


def gather(input: int, output: int, rows: np.ndarray, columns: np.ndarray, channels: np.ndarray) -> Record:
    """Elements of a dense tensor: that at [y, x, c] lies rows[y] + columns[x] + channels[c] elements into it."""
    places = (each.astype(np.int32) for each in (rows, columns, channels))
    return _record([Kind.GATHER, input, output], [], *places)


def _or_none(tensor: int | None) -> int:
    return -1 if tensor is None else tensor


def _f32(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, dtype=np.float32)


def _record(integers: list[int], floats: list[float], *arrays: np.ndarray) -> Record:
    return Record(
        np.array(integers, dtype=np.int64).tobytes(),
        np.array(floats, dtype=np.float32).tobytes(),
        tuple(np.ascontiguousarray(array).tobytes() for array in arrays),
    )
