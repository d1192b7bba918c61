"""What a run says while it goes on. Every event names its run; a run ends with one of the last four."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from workbench import receipt
from workbench.layer import Flow
from workbench.mixtures import Mixture
from workbench.plumbing.words import about
from workbench.receipt import Interval, LatencyFigures, LayerReceipt, Result


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    run: int


class Started(_Event):
    """The worker took the run up. ``recipe`` is complete: "auto" and absent values are filled in.

    ``workload_id`` is what the runs of this very workload are kept under.
    """

    kind: Literal["started"] = "started"
    workload: str
    workload_id: str
    recipe: dict[str, Any]


class Blocked(BaseModel):
    """What a technique can't do for one model: nothing at all (``reason``), these choices, or these in some layers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str = ""
    choices: dict[str, dict[str, str]] = {}
    """By option and choice: why no recipe with that choice could change the model."""
    kinds: dict[str, dict[str, str]] = {}
    """By the class of a layer and choice: why no layer of that class could be changed so."""


class Loaded(_Event):
    """The workload is in memory; ``blocked`` names, by technique, what could do nothing to its model."""

    kind: Literal["loaded"] = "loaded"
    workload: str
    blocked: dict[str, Blocked] = {}


class Recalled(_Event):
    """The finished result of an earlier run of the same recipe, shown until fresh figures come in."""

    kind: Literal["recalled"] = "recalled"
    result: Result
    finished_at: str


class Progress(_Event):
    """What is being done now, ``done`` of ``total`` (0: unknown)."""

    kind: Literal["progress"] = "progress"
    message: str
    done: int = 0
    total: int = 0


class Training(_Event):
    """One point of a live training curve.

    ``quality`` is what the model in training comes to by now on a few examples set aside; most points have none.
    """

    kind: Literal["training"] = "training"
    technique: str
    step: int
    total_steps: int
    epoch: float
    loss: float
    quality: receipt.Quality | None = None


class Search(_Event):
    """What a search for the schemes of layers has found by now; its best is what the run goes on with."""

    kind: Literal["search"] = "search"
    mixture: Mixture


class Latency(_Event):
    """Latency so far. The samples are those since the last event of this kind."""

    kind: Literal["latency"] = "latency"
    baseline_engine: str
    baseline_precision: str = "fp32"
    baseline: LatencyFigures
    variant: LatencyFigures
    speedup: Interval
    baseline_samples_ms: tuple[float, ...] = ()
    variant_samples_ms: tuple[float, ...] = ()
    settled: bool = True
    """False where other programs left too little of it alone."""
    final: bool = False

    @property
    def few_calls(self) -> bool:
        """Whether either side was called too few times for a verdict on which is faster."""
        return self.baseline.few or self.variant.few


class Quality(_Event):
    """Quality on the first ``variant.n`` of ``total`` test examples.

    ``loss`` is by how much the variant is worse, in the metric's unit. Of ``answers`` so far ``changed`` differ from
    the baseline's; both are None where answers are numbers, which nearly always differ by a little.
    """

    kind: Literal["quality"] = "quality"
    baseline: receipt.Quality
    variant: receipt.Quality
    loss: Interval
    changed: int | None
    answers: int | None
    total: int


class Size(_Event):
    """What the variant weighs, known as soon as it is prepared."""

    kind: Literal["size"] = "size"
    baseline_bytes: int
    variant_bytes: int
    baseline_peak_memory_bytes: int | None
    variant_peak_memory_bytes: int | None


class Layers(_Event):
    """The receipt so far."""

    kind: Literal["layers"] = "layers"
    receipt: tuple[LayerReceipt, ...]


class Structure(_Event):
    """Where each layer's output goes, of the variant; once in a run, before its receipt."""

    kind: Literal["structure"] = "structure"
    flow: Flow


class Notice(_Event):
    """Something to know that is no failure: "eager stands in for the baseline until compiled is ready".

    ``measure_again`` asks a page that shows this run to start it anew: its baseline has changed.
    """

    kind: Literal["notice"] = "notice"
    message: str
    measure_again: bool = False


class Ablation(_Event):
    """What the first steps of a finished run's recipe come to by themselves, beside the same baseline.

    Measured in idle time; one for the engine alone and one for each step but the last.
    """

    kind: Literal["ablation"] = "ablation"
    result: Result


class Unmeasured(_Event):
    """The first ``steps`` steps of a finished run's recipe, or its engine alone, can't be measured, for ``reason``.

    An engine may take a model with all steps and not with the first ones.
    """

    kind: Literal["unmeasured"] = "unmeasured"
    steps: int
    reason: str


class _Estimate(_Event):
    """How long a training would take."""

    seconds: float

    @property
    def about(self) -> str:
        """In words: "about 50 s"."""
        return about(self.seconds)


class Cost(_Estimate):
    """How long the run's recipe would train if this technique, as it comes, were a step of it: an estimate."""

    kind: Literal["cost"] = "cost"
    technique: str


class Finished(_Event):
    """The run's end, with its figures. ``entry`` is what the history keeps it under; 0 where it doesn't."""

    kind: Literal["finished"] = "finished"
    result: Result
    entry: int = 0


class Failed(_Event):
    """``message`` is one line for the person; ``detail`` the traceback, for ``--debug``."""

    kind: Literal["failed"] = "failed"
    message: str
    detail: str = ""


class Cancelled(_Event):
    """The run's end when it was cancelled or a newer one overtook it."""

    kind: Literal["cancelled"] = "cancelled"
    message: str = "cancelled"


class Untrained(_Estimate):
    """The run's end when its training, or its search, would take longer than it was allowed: about so many seconds.

    ``searches``: whether a search for the schemes of layers is part of it, which the person may end at any time.
    """

    kind: Literal["untrained"] = "untrained"
    searches: bool = False

    @property
    def about(self) -> str:
        """In words: "about 50 s", or "up to 2 min", since a search ends sooner where nothing is left to try."""
        return super().about.replace("about", "up to") if self.searches else super().about


Event = Annotated[
    Started
    | Loaded
    | Recalled
    | Progress
    | Training
    | Search
    | Latency
    | Quality
    | Size
    | Structure
    | Layers
    | Notice
    | Ablation
    | Unmeasured
    | Cost
    | Finished
    | Failed
    | Cancelled
    | Untrained,
    Field(discriminator="kind"),
]
adapter: TypeAdapter[Event] = TypeAdapter(Event)
"""``adapter.validate_json(text)`` reads any event."""

ENDINGS = ("finished", "failed", "cancelled", "untrained")
AFTERWARDS = ("notice", "ablation", "unmeasured", "cost")
"""What may still come after a run's end."""
