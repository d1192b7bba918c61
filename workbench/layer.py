"""What is told of layers beside the receipt: where each one's output goes, and the numbers that it holds."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

INPUT, OUTPUT = "(input)", "(output)"
"""The ends of the model, among the names of its layers."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Flow(_Frozen):
    """Where each layer's output goes in one call of the model: a graph without cycles."""

    nodes: tuple[str, ...]
    """In the order in which they begin: :data:`INPUT`, layers with parameters by their qualified names, joins,
    :data:`OUTPUT`."""
    joins: dict[str, str]
    """Of nodes that are no layers but operations in which outputs meet: what the operation is called ("add")."""
    edges: tuple[tuple[str, str], ...]
    """From a node to one that comes later. What goes back, as to a layer that is called again, is left out."""


class Histogram(_Frozen):
    """How many numbers lie in each of some intervals of equal width; the first begins at ``low``."""

    low: float
    width: float
    counts: tuple[int, ...]


class Scales(_Frozen):
    """What the whole numbers of a quantized weight are multiplied by: how many factors, the least and the largest."""

    count: int
    low: float
    high: float


class Numbers(_Frozen):
    """The numbers of a layer's largest weight, as they are kept. What isn't finite counts to the total alone."""

    dtype: str
    shape: tuple[int, ...]
    size_bytes: int
    """Scales and zero points included."""
    total: int
    zeros: int
    low: float
    high: float
    values: Histogram
    """Of all but the zeros; before and after have the same intervals."""
    levels: Histogram | None = None
    """Of whole numbers, one by one over the whole format, zero included; None where floats are kept."""
    scales: Scales | None = None


class LayerDetail(_Frozen):
    """A layer's weights in numbers. A side is None where the layer isn't there, or nothing of it is kept."""

    layer: str
    before: Numbers | None
    after: Numbers | None
