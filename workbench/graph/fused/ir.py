"""The native engine's own small graph: what is left of a model once every detail of its export is gone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.kernels.records import Window

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Quant:
    """Affine u8 storage: real = (stored − zero_point) · step."""

    step: float
    zero_point: int


@dataclass(eq=False)
class Value:
    """What an operation makes. ``shape`` is without the batch, in the model's own order (C, H, W).

    A value with ``quant`` is stored as u8 and stands for the real numbers these bytes mean, so a
    dequantize in the model needs no operation here. ``channels_last_of`` is set on a flattened image:
    its features lie in memory as (H, W, C) of this (C, H, W).
    """

    shape: tuple[int, ...]
    quant: Quant | None = None
    channels_last_of: tuple[int, int, int] | None = None
    half: bool = False
    """Stored as bf16."""

    @property
    def image(self) -> tuple[int, int, int]:
        """(height, width, channels) of the memory that holds it."""
        if len(self.shape) == 3:
            channels, height, width = self.shape
            return height, width, channels
        if len(self.shape) == 2:
            return self.shape[0], 1, self.shape[1]
        return 1, 1, self.shape[0]


@dataclass(frozen=True)
class Activation:
    """``name`` as in ``records.ACTIVATIONS``; the bounds are those of "clamp"."""

    name: str = "clamp"
    minimum: float = float("-inf")
    maximum: float = float("inf")


@dataclass
class Weights:
    """A convolution's or linear layer's constants. ``weight`` is [outputs, inputs / groups, height, width].

    With ``steps`` (by output channel), ``weight`` is int8 and means weight · step. ``own_range``: the input comes as
    floats and is quantized at run time, each row (an image's features, a token's) in its own range.

    Where the operation's kind is "weight_only", the input stays floats; ``weight`` is int8 of ``bits`` bits, and
    ``steps`` [outputs, groups] has one for each ``group_size`` inputs.
    """

    weight: np.ndarray
    bias: np.ndarray
    steps: np.ndarray | None
    window: Window
    groups: int
    own_range: bool = False
    bits: int = 8
    group_size: int = 0


@dataclass(frozen=True)
class Pooling:
    """A pooling window over whole pixels."""

    window: Window
    average: bool
    count_padding: bool = True


@dataclass(frozen=True)
class Norm:
    """To mean 0 and variance 1, then times ``gain`` plus ``shift`` by channel.

    Layer norms do that over the channels of each pixel, group norms over groups of channels of the whole image.
    """

    gain: np.ndarray
    shift: np.ndarray
    epsilon: float
    groups: int = 1


@dataclass(frozen=True)
class Heads:
    """Where queries, keys or values of all heads lie in a value; distances in elements."""

    offset: int
    heads: int
    head_stride: int
    rows: int
    row_stride: int
    size: int


@dataclass(frozen=True)
class Attention:
    """softmax(query · keyᵀ · scale) · value; causal: a query sees the keys up to its own place.

    ``halves``: products may be of bf16, where the instruction set has them.
    """

    query: Heads
    key: Heads
    value: Heads
    scale: float
    causal: bool
    halves: bool = False


@dataclass(eq=False)
class Op:
    """One operation. ``layers`` are the modules it came from, the main one first.

    Kinds: conv, weight_only (a linear layer over floats), pool, sum, multiply, activate, convert (to another storage),
    flatten, concat, scale (times a number, plus another), slice (a part of a value's memory), layer_norm, group_norm,
    softmax, attention, embedding.
    A sum or product with a ``constant`` [height, width, channels] has one input.
    """

    kind: str
    inputs: list[Value]
    output: Value
    layers: list[str] = field(default_factory=list)
    weights: Weights | None = None
    pooling: Pooling | None = None
    activation: Activation | None = None
    residual: Value | None = None
    constant: np.ndarray | None = None
    norm: Norm | None = None
    attention: Attention | None = None
    reason: str = ""
    """Why it isn't computed as the recipe asked, where the engine chose so."""
    factor: float = 1.0
    shift: float = 0.0
    offset: int = 0
    pitch: int = 0
    """Of a slice: where it begins and how far its rows are apart, in elements."""

    @property
    def reads(self) -> list[Value]:
        """Everything it reads."""
        return [*self.inputs, *([self.residual] if self.residual is not None else [])]

    @property
    def is_depthwise(self) -> bool:
        """Whether it is a convolution of each channel by itself."""
        groups = self.weights.groups if self.weights else 1
        return groups > 1 and groups == self.inputs[0].image[2] == self.output.image[2]


@dataclass
class Graph:
    """Operations in an order in which they can run. ``output_shape``: as the model gives it, without the batch."""

    input: Value
    output: Value
    ops: list[Op]
    output_shape: tuple[int, ...]

    def readers(self, value: Value) -> list[Op]:
        """The operations that read ``value``, one entry for each time."""
        return [op for op in self.ops for read in op.reads if read is value]

    def only_reader(self, value: Value) -> Op | None:
        """The one operation that reads it, when there is exactly one and it isn't the model's output too."""
        readers = self.readers(value)
        return readers[0] if len(readers) == 1 and value is not self.output else None
