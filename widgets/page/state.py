"""What the page shows, as a pure function of what happened.

:func:`reduce` takes the state and one event and returns the next state. Run ids only grow, and an
event of an older run than the one shown changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from workbench import events
from workbench.layer import Flow
from workbench.mixtures import Mixture
from workbench.receipt import LayerReceipt, Quality, Result, Throughput
from workbench.widgets.charts import histogram
from workbench.widgets.page.metric import Metric

Phase = Literal["starting", "idle", "working", "training", "searching", "finished", "cancelled", "failed", "untrained"]
Part = Literal["latency", "quality", "size", "layers"]
PARTS: frozenset[Part] = frozenset({"latency", "quality", "size", "layers"})
_CURVE_POINTS = 240
_ESTIMATES = 60
_NOTICES = 3
_RESULTS = 64


@dataclass(frozen=True)
class Ready:
    """The worker said hello."""


@dataclass(frozen=True)
class GivenUp:
    """The worker can't be kept alive; ``reason`` is one line for the person."""

    reason: str


@dataclass(frozen=True)
class Submitted:
    """A recipe was sent off; nothing was heard of it yet."""

    run: int
    workload: str
    recipe: dict[str, Any]
    baseline: str = "auto"


@dataclass(frozen=True)
class Accepted:
    """The loss of quality that the person accepts: percentage points of shares, else per cent of the baseline."""

    loss: float


@dataclass(frozen=True)
class Stored:
    """A finished run is looked at again, with what it found then: nothing is measured. ``row`` is its row's id."""

    row: int
    result: Result
    finished_at: str


Own = Ready | GivenUp | Submitted | Accepted | Stored
"""What the page itself says happened, besides the events of runs."""


@dataclass(frozen=True)
class PageState:
    """Everything the page shows but the history. Immutable.

    ``stale`` names the parts that still show the run before this one; ``recalled`` those that show
    an earlier run of the same recipe, finished at ``recalled_at``; ``stored`` is the id of that run's row
    where it was chosen to be seen again and nothing is measured. ``curve`` holds epoch and loss of a training,
    ``estimates`` epoch and quality of those of its points that tell it. ``throughput`` is the variant's,
    known of finished runs; ``metric`` is what last told this workload's quality. ``accepted`` is as
    :class:`Accepted` has it. ``told`` are results that other recipes' beginnings may be found among, newest first.
    ``awaits_training`` says how long a training would take that waits for a word, or, where it ``searches``, a search;
    ``mixture`` is what that has found by now. ``costs`` says how long each technique would train as it comes,
    ``unmeasured`` why, by how many of its first steps the recipe that is shown can't be measured with.
    """

    run: int = 0
    phase: Phase = "starting"
    workload: str = ""
    recipe: dict[str, Any] = field(default_factory=dict)
    baseline: str = "auto"
    taken_up: bool = False
    message: str = "Starting the core"
    done: int = 0
    total: int = 0
    notices: tuple[str, ...] = ()
    error: str = ""
    latency: events.Latency | None = None
    baseline_bins: histogram.Bins = ()
    variant_bins: histogram.Bins = ()
    throughput: Throughput | None = None
    quality: events.Quality | None = None
    metric: Metric | None = None
    size: events.Size | None = None
    receipt: tuple[LayerReceipt, ...] = ()
    flow: Flow | None = None
    blocked: dict[str, events.Blocked] = field(default_factory=dict)
    verdict: str = ""
    environment: dict[str, Any] = field(default_factory=dict)
    training: events.Training | None = None
    curve: tuple[tuple[float, float], ...] = ()
    curve_stride: int = 1
    estimates: tuple[tuple[float, Quality], ...] = ()
    stale: frozenset[Part] = frozenset()
    recalled: frozenset[Part] = frozenset()
    recalled_at: str = ""
    stored: int = 0
    result: Result | None = None
    accepted: float = 0.5
    told: tuple[Result, ...] = ()
    awaits_training: str = ""
    searches: bool = False
    mixture: Mixture | None = None
    costs: dict[str, str] = field(default_factory=dict)
    unmeasured: dict[int, str] = field(default_factory=dict)

    @property
    def busy(self) -> bool:
        """Whether something runs that Cancel would stop."""
        return self.phase in ("working", "training", "searching")

    @property
    def awaited(self) -> frozenset[Part]:
        """Which of latency and quality this run hasn't given yet: what a person who flipped a toggle waits for."""
        shown = {"latency": self.latency, "quality": self.quality}
        return frozenset(part for part, figure in shown.items() if not figure or part in self.stale | self.recalled)


def reduce(state: PageState, event: events.Event | Own) -> PageState:
    """The state after ``event``."""
    if isinstance(event, Ready):
        return replace(state, phase="idle", message="Ready") if state.phase == "starting" else state
    if isinstance(event, Accepted):
        return replace(state, accepted=event.loss)
    if isinstance(event, Stored):
        return _stored(state, event)
    if isinstance(event, GivenUp):
        return replace(state, phase="failed", message="Failed", error=event.reason)
    if event.run < state.run:
        return state
    if event.run > state.run:
        state = _begin(state, event.run)
    elif state.phase in events.ENDINGS and event.kind not in events.AFTERWARDS:
        return state
    return _STEPS[type(event)](state, event)


def of_result(result: Result) -> PageState:
    """The state of a page that shows this finished run."""
    return reduce(PageState(), events.Finished(run=1, result=result))


def _begin(state: PageState, run: int) -> PageState:
    """A new run: earlier figures stay in sight, marked, until its own come."""
    return replace(
        state,
        run=run,
        phase="working",
        taken_up=False,
        message="Preparing",
        done=0,
        total=0,
        notices=(),
        error="",
        training=None,
        curve=(),
        curve_stride=1,
        estimates=(),
        stale=_present(state),
        recalled=frozenset(),
        recalled_at="",
        stored=0,
        result=None,
        awaits_training="",
        searches=False,
        mixture=None,
        unmeasured={},
    )


def _stored(state: PageState, event: Stored) -> PageState:
    """A run of the history, finished long ago; whatever was under way is over."""
    result = event.result
    state = _keep(_fill(_begin(state, state.run), result, state.run), result)
    return replace(
        state,
        phase="finished",
        message="From the history",
        workload=result.workload,
        recipe=result.recipe,
        environment=result.environment,
        stale=frozenset(),
        recalled=PARTS,
        recalled_at=event.finished_at,
        stored=event.row,
        result=result,
    )


def _present(state: PageState) -> frozenset[Part]:
    shown = {"latency": state.latency, "quality": state.quality, "size": state.size, "layers": state.receipt}
    return frozenset(part for part, figures in shown.items() if figures)


def _submitted(state: PageState, event: Submitted) -> PageState:
    state = replace(state, baseline=event.baseline)
    # its first event may have overtaken this one; then the recipe is known already, and complete
    return state if state.taken_up else _show(state, event.workload, event.recipe)


def _started(state: PageState, event: events.Started) -> PageState:
    phase = "working" if state.phase == "searching" else state.phase  # it has found what to go on with
    return replace(_show(state, event.workload, event.recipe), phase=phase, taken_up=True)


def _show(state: PageState, workload: str, recipe: dict[str, Any]) -> PageState:
    if state.workload != workload:
        state = replace(_blank(state, PARTS), blocked={}, metric=None, told=(), costs={})
    return replace(state, workload=workload, recipe=recipe)


def _loaded(state: PageState, event: events.Loaded) -> PageState:
    return replace(state, blocked=event.blocked)


def _recalled(state: PageState, event: events.Recalled) -> PageState:
    filled = _keep(_fill(state, event.result, event.run), event.result)
    return replace(filled, stale=frozenset(), recalled=PARTS, recalled_at=event.finished_at, environment={})


def _progress(state: PageState, event: events.Progress) -> PageState:
    # a training goes on until something is measured; it reports its progress between the points of its curve
    phase = "training" if state.phase == "training" else "working"
    return replace(state, phase=phase, message=event.message, done=event.done, total=event.total)


def _training(state: PageState, event: events.Training) -> PageState:
    continued = state.training is not None and state.training.technique == event.technique
    curve, stride = (state.curve, state.curve_stride) if continued else ((), 1)
    if event.step % stride == 0 or not curve:
        curve = (*curve, (round(event.epoch, 4), round(event.loss, 5)))
    if len(curve) > _CURVE_POINTS:
        curve, stride = curve[::2], stride * 2
    estimates = state.estimates if continued else ()
    if event.quality:
        estimates = (*estimates, (round(event.epoch, 4), event.quality))
    if len(estimates) > _ESTIMATES:
        estimates = estimates[::2]  # of an odd number, so that the last stays
    return replace(state, phase="training", training=event, curve=curve, curve_stride=stride, estimates=estimates)


def _search(state: PageState, event: events.Search) -> PageState:
    return replace(state, phase="searching", message=event.mixture.doing, done=0, total=0, mixture=event.mixture)


def _latency(state: PageState, event: events.Latency) -> PageState:
    fresh = "latency" in state.stale | state.recalled
    return replace(
        _arrived(state, "latency"),
        latency=event.model_copy(update={"baseline_samples_ms": (), "variant_samples_ms": ()}),
        throughput=None,
        baseline_bins=histogram.add(() if fresh else state.baseline_bins, event.baseline_samples_ms),
        variant_bins=histogram.add(() if fresh else state.variant_bins, event.variant_samples_ms),
    )


def _quality(state: PageState, event: events.Quality) -> PageState:
    return replace(_arrived(state, "quality"), quality=event, metric=Metric.of(event.variant))


def _size(state: PageState, event: events.Size) -> PageState:
    return replace(_arrived(state, "size"), size=event)


def _structure(state: PageState, event: events.Structure) -> PageState:
    return replace(state, flow=event.flow)


def _layers(state: PageState, event: events.Layers) -> PageState:
    return replace(_arrived(state, "layers"), receipt=event.receipt)


def _notice(state: PageState, event: events.Notice) -> PageState:
    kept = tuple(message for message in state.notices if message != event.message)
    return replace(state, notices=(*kept, event.message)[-_NOTICES:])


def _finished(state: PageState, event: events.Finished) -> PageState:
    state = _keep(_fill(state, event.result, event.run), event.result)
    return replace(
        state,
        phase="finished",
        message="Done",
        done=0,
        total=0,
        workload=event.result.workload,
        recipe=event.result.recipe,
        environment=event.result.environment,
        stale=frozenset(),
        recalled=frozenset(),
        recalled_at="",
        stored=0,
        result=event.result,
    )


def _ablation(state: PageState, event: events.Ablation) -> PageState:
    return _keep(state, event.result)


def _unmeasured(state: PageState, event: events.Unmeasured) -> PageState:
    return replace(state, unmeasured={**state.unmeasured, event.steps: event.reason})


def _cost(state: PageState, event: events.Cost) -> PageState:
    return replace(state, costs={**state.costs, event.technique: event.about})


def _keep(state: PageState, result: Result) -> PageState:
    others = (
        each for each in state.told if (each.recipe, each.baseline.engine) != (result.recipe, result.baseline.engine)
    )
    return replace(state, told=(result, *others)[:_RESULTS])


def _failed(state: PageState, event: events.Failed) -> PageState:
    return replace(_blank(state, state.stale), phase="failed", message="Failed", error=event.message, done=0, total=0)


def _cancelled(state: PageState, event: events.Cancelled) -> PageState:
    return replace(_blank(state, state.stale), phase="cancelled", message="Cancelled", done=0, total=0)


def _untrained(state: PageState, event: events.Untrained) -> PageState:
    what = "search" if event.searches else "training"
    state = state if event.searches else _blank(state, state.stale)  # of a search nothing is known before
    return replace(
        state,
        phase="untrained",
        message=f"The {what} takes {event.about}, and waits for you",
        awaits_training=event.about,
        searches=event.searches,
        done=0,
        total=0,
    )


def _arrived(state: PageState, part: Part) -> PageState:
    verdict = "" if "latency" in state.stale | state.recalled and part == "latency" else state.verdict
    return replace(
        state, phase="working", stale=state.stale - {part}, recalled=state.recalled - {part}, verdict=verdict
    )


def _blank(state: PageState, parts: frozenset[Part]) -> PageState:
    """Without the figures of ``parts``: they belong to another recipe than the one shown."""
    nothing: dict[str, Any] = {}
    if "latency" in parts:
        nothing |= {"latency": None, "throughput": None, "baseline_bins": (), "variant_bins": (), "verdict": ""}
    if "quality" in parts:
        nothing["quality"] = None
    if "size" in parts:
        nothing["size"] = None
    if "layers" in parts:
        nothing |= {"receipt": (), "flow": None}
    return replace(state, stale=state.stale - parts, **nothing)


def _fill(state: PageState, result: Result, run: int) -> PageState:
    """The figures of a finished run, in the form in which live ones come."""
    baseline, variant = result.baseline, result.variant
    keeps_bins = not state.stale & {"latency"} and not state.recalled & {"latency"}
    return replace(
        state,
        latency=events.Latency(
            run=run,
            baseline_engine=baseline.engine,
            baseline_precision=baseline.precision,
            baseline=baseline.latency_ms,
            variant=variant.latency_ms,
            speedup=result.speedup,
            settled=result.settled,
            final=True,
        ),
        throughput=variant.throughput,
        baseline_bins=state.baseline_bins if keeps_bins else (),
        variant_bins=state.variant_bins if keeps_bins else (),
        quality=events.Quality(
            run=run,
            baseline=baseline.quality,
            variant=variant.quality,
            loss=result.quality_loss,
            changed=result.answers_changed,
            answers=result.answers,
            total=variant.quality.n,
        ),
        metric=Metric.of(variant.quality),
        size=events.Size(
            run=run,
            baseline_bytes=baseline.size_bytes,
            variant_bytes=variant.size_bytes,
            baseline_peak_memory_bytes=baseline.peak_memory_bytes,
            variant_peak_memory_bytes=variant.peak_memory_bytes,
        ),
        receipt=result.receipt,
        verdict=result.verdict,
    )


_STEPS = {
    Submitted: _submitted,
    events.Started: _started,
    events.Loaded: _loaded,
    events.Recalled: _recalled,
    events.Progress: _progress,
    events.Training: _training,
    events.Search: _search,
    events.Latency: _latency,
    events.Quality: _quality,
    events.Size: _size,
    events.Structure: _structure,
    events.Layers: _layers,
    events.Notice: _notice,
    events.Ablation: _ablation,
    events.Unmeasured: _unmeasured,
    events.Cost: _cost,
    events.Finished: _finished,
    events.Failed: _failed,
    events.Cancelled: _cancelled,
    events.Untrained: _untrained,
}
