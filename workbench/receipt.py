"""What a run found: figures with their intervals, and the receipt of what really happened per layer.

Field names are promises: `workbench run --json`, the store and the widgets share them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from workbench.plumbing import html
from workbench.plumbing.words import figure, size

Reality = Literal["real", "simulated", "unchanged"]
Direction = Literal["higher", "lower"]
"""Which figures of a metric are the better ones."""

FEWEST_CALLS = 12
"""Timed calls of each side that a verdict takes at least, in six blocks of four visits or more. Fewer may all have met
one moment of the machine."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Interval(_Frozen):
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the interval's width relative to its value; 0.05 reads "±5 %"."""
        return (self.high - self.low) / 2 / abs(self.value) if self.value else float("inf")

    @property
    def vague(self) -> bool:
        """Of a ratio: whether its interval holds 1 and reaches further than a factor of two either way.

        The first estimates rest on a call or three of each side. One that the machine disturbed gives an interval that
        is right to be wide, and says nothing yet, not "no difference".
        """
        return self.low <= 1 <= self.high and self.high > 4 * self.low


def columns(name: str, interval: Interval | None) -> dict[str, float | None]:
    """An interval's parts by the names that they have in a frame: ``name``, ``name_low`` and ``name_high``."""
    parts = {"": "value", "_low": "low", "_high": "high"}
    return {f"{name}{bound}": getattr(interval, part, None) for bound, part in parts.items()}


class Quality(Interval):
    """How good the answers on ``n`` examples are, by a metric, with its 95 % interval.

    ``metric`` is the metric's name and ``title`` what the page calls it. ``unit`` is that of the three figures:
    "share" of 1, "bit/byte", what the targets are measured in, or "" for a plain number.
    """

    metric: str
    title: str
    n: int
    unit: str = ""
    better: Direction

    def loss_of(self, share: float) -> float:
        """The loss, in the metric's unit, that a person means by ``share``: of a share points, else of the figure."""
        return share * (1 if self.unit == "share" else abs(self.value))


class Throughput(_Frozen):
    """What one call handles, over the median time of a call: ``value`` of ``unit`` ("images", "tokens") a second."""

    value: float
    unit: str


class LatencyFigures(_Frozen):
    """Percentiles of the time of one call, in milliseconds, over ``n`` calls."""

    p50: float
    p90: float
    p95: float
    p99: float
    n: int
    steady: bool = True
    """False where warm-up never reached a steady state."""

    @property
    def few(self) -> bool:
        """Whether these are too few calls for a verdict."""
        return self.n < FEWEST_CALLS


class Side(_Frozen):
    """The baseline's or the variant's figures."""

    engine: str
    device: str
    latency_ms: LatencyFigures
    quality: Quality
    size_bytes: int
    """Of the weights as stored in safetensors, in their real dtypes."""
    peak_memory_bytes: int | None
    """Weights plus the growth of resident memory in the first calls; None where the system can't say."""
    throughput: Throughput | None = None
    """None in runs of before it was told."""
    precision: str = "fp32"
    """The name of what its layers are asked to compute in."""

    @model_validator(mode="before")
    @classmethod
    def _of_before(cls, values: Any) -> Any:
        """Runs stored when every workload was a classifier hold an accuracy."""
        if not isinstance(values, dict) or "accuracy" not in values:
            return values
        words = {"metric": "accuracy", "title": "accuracy", "unit": "share", "better": "higher"}
        rest = {name: value for name, value in values.items() if name != "accuracy"}
        return {**rest, "quality": {**values["accuracy"], **words}}


class LayerState(_Frozen):
    """A layer's parameters as they are kept: dtype, shape and share of exact zeros of the largest."""

    dtype: str
    """"int8 and float32" where its weights are kept in several."""
    weight_shape: tuple[int, ...]
    sparsity: float
    weight_bytes: int
    """Of all the layer's own tensors, scales and zero points included; those of all layers add up to the model's. What
    layers share counts for the first."""


class LayerReceipt(_Frozen):
    """One layer with parameters; "(model)" is what the model holds itself, outside its layers.

    ``before`` is None where the recipe brought it in, ``after`` is None where it was removed or folded into another.
    """

    layer: str
    op: str
    before: LayerState | None
    after: LayerState | None
    kernel: str | None
    compute_dtype: str | None
    reality: Reality
    reason: str = ""
    time_ms: float | None = None
    time_reason: str = ""
    """Why there is no time, where there is none."""
    bytes_moved: int | None = None
    """Of its inputs, weights and outputs in one call, each once; None where the engine doesn't say."""
    ceiling_share: float | None = None
    """Of its time, what it takes at the highest rates measured on this machine; None where that isn't known."""
    ceiling: Literal["memory", "arithmetic"] | None = None
    """Which of the two bounds it."""
    output_error: float | None = None
    """‖variant − baseline‖₂ / ‖baseline‖₂ of the layer's output on the same inputs; None where shapes differ."""

    @property
    def has_weight(self) -> bool:
        """Whether its largest parameter has two dimensions or more; that of a normalisation has one."""
        state = self.after or self.before
        return state is not None and len(state.weight_shape) >= 2


def weights_first(receipt: Iterable[LayerReceipt]) -> list[LayerReceipt]:
    """The layers with weights, then the small ones, each in the model's order."""
    return sorted(receipt, key=lambda row: not row.has_weight)


def _spread(interval: Interval, unit: str = "") -> str:
    return f"{interval.value:.3g}{unit} ({interval.low:.3g} to {interval.high:.3g})"


class Result(_Frozen):
    """A finished run."""

    workload: str
    workload_id: str = ""
    """What tells it from others of that name: the name of an embedded workload, else the beginning of a sha256 over
    architecture, weights and data. "" in runs of before there was one."""
    recipe: dict[str, Any]
    baseline: Side
    variant: Side
    speedup: Interval
    quality_loss: Interval
    """By how much the variant is worse, in the metric's unit: 0.01 of "share" is one percentage point lost."""
    answers_changed: int | None
    """How many answers (classes, tokens, classes of pixels) differ from the baseline's; None where they are numbers."""
    answers: int | None = None
    """How many there were; None also in runs of before that was told."""
    receipt: tuple[LayerReceipt, ...]
    settled: bool = True
    """False where other programs left too little of the comparison alone: its interval reaches as far as they may have
    moved it."""
    verdict: str
    """The outcome in words: how much faster, or why not."""
    notices: tuple[str, ...] = ()
    """What else is to be known of this run: what was assumed of the data, what disturbed it, where history is kept."""
    environment: dict[str, Any]

    @model_validator(mode="before")
    @classmethod
    def _of_before(cls, values: Any) -> Any:
        """The names of when every workload was a classifier."""
        renamed = {"accuracy_drop": "quality_loss", "predictions_changed": "answers_changed"}
        if not isinstance(values, dict) or renamed.keys().isdisjoint(values):
            return values
        return {renamed.get(name, name): value for name, value in values.items()}

    @property
    def few_calls(self) -> bool:
        """Whether either side was called too few times for a verdict on which is faster."""
        return self.baseline.latency_ms.few or self.variant.latency_ms.few

    def __str__(self) -> str:
        """The verdict and the notices, a line each."""
        return "\n".join((self.verdict, *self.notices))

    def __repr__(self) -> str:
        return f"<Result on {self.workload}: {self}>"

    def _repr_html_(self) -> str:
        """What a notebook keeps of it: verdict, figures and receipt."""
        sides = self.baseline, self.variant
        quality = self.variant.quality
        figures = html.table(
            [
                "",
                f"baseline: {self.baseline.engine} {self.baseline.precision}",
                f"now: {self.variant.engine}",
                "change, 95 % interval",
            ],
            [
                ["latency, median", *(f"{side.latency_ms.p50:.3g} ms" for side in sides), _spread(self.speedup, "×")],
                [
                    quality.title,
                    *(figure(side.quality.value, quality.unit) for side in sides),
                    f"loss {_spread(self.quality_loss)}",
                ],
                ["size", *(size(side.size_bytes) for side in sides), ""],
            ],
        )
        layers = html.table(
            ["layer", "kind", "computed in", "kernel", "", "why"],
            [
                [row.layer, row.op, row.compute_dtype or "", row.kernel or "", row.reality, row.reason]
                for row in weights_first(self.receipt)
            ],
        )
        said = "".join(map(html.paragraph, (self.verdict, *self.notices)))
        return said + figures + html.folded("Receipt, layer by layer", layers)
