"""One comparison: latency, quality and layers of a variant beside its baseline, as events and then as a result."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from weakref import WeakKeyDictionary

import torch
from torch.nn import Module

from workbench import events
from workbench.core import offer
from workbench.core.shelf import Prepared
from workbench.errors import WorkbenchError
from workbench.layer import Flow
from workbench.machine import identity, turn
from workbench.machine.affinity import core_of_its_own
from workbench.machine.crowding import WORTH_SAYING, Crowding
from workbench.measure import flow, latency, layers, quality, work
from workbench.measure.pace import Pace
from workbench.measure.verdict import verdict
from workbench.plumbing.directory import data_directory
from workbench.receipt import LatencyFigures, LayerReceipt, Quality, Result, Side, Throughput
from workbench.recipe import Recipe
from workbench.workload import Inputs, LoadedWorkload

_COMPARISON_SECONDS = 3.7
PATIENCE = 8.0 / 3.7
"""How many times as long beside other programs: one that comes and goes within 0.1 to 10 s hardly ever leaves no second
free in 8 s."""

_BEGINNING_SECONDS = 1.0

_flows: WeakKeyDictionary[Module, Flow | None] = WeakKeyDictionary()
"""How variants' layers are joined, of each for as long as it is kept: a variant is measured again and again."""


def comparison_seconds() -> float:
    """How long a comparison of latencies may take where nothing disturbs it; it ends sooner once it is narrow enough.

    ``WORKBENCH_COMPARISON_SECONDS`` in the environment overrides it: many who share a machine may prefer wider
    intervals to long waits.

    Raises
    ------
    WorkbenchError
        Where that is no number of seconds above 0.
    """
    told = os.environ.get("WORKBENCH_COMPARISON_SECONDS")
    try:
        seconds = float(told) if told else _COMPARISON_SECONDS
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise WorkbenchError(f"WORKBENCH_COMPARISON_SECONDS must be a number of seconds above 0; it is {told!r}")
    return seconds


class Measurement:
    """Measure ``variant`` beside ``baseline``; iterate over :meth:`events`, then ask for :meth:`result`.

    ``awaited`` names the engine that may be a faster baseline and isn't ready yet; "" where there is none.
    ``judged`` is the untouched model on the test examples, judged already or not.
    """

    def __init__(
        self,
        workload: LoadedWorkload,
        recipe: Recipe,
        baseline: Prepared,
        variant: Prepared,
        judged: quality.Judged,
        *,
        awaited: str,
        budget_s: float | None = None,
    ) -> None:
        self.workload = workload
        self.recipe = recipe
        self._baseline = baseline
        self._variant = variant
        self._judged = judged
        self._awaited = awaited
        self._budget_s = comparison_seconds() if budget_s is None else budget_s
        self._is_first = not all(pace.is_known for pace in self._paces())
        self._latency: latency.LatencySnapshot | None = None
        self._quality: quality.QualitySnapshot | None = None
        self._receipt: tuple[LayerReceipt, ...] = ()

    def events(self, run: int, checkpoint: Callable[[], None]) -> Iterator[events.Event]:
        """Yield figures as they tighten: latency and quality by turns, the receipt after the first of each."""
        yield self._size(run)
        crowding = Crowding()
        example, calls = self._example(), self._calls()
        with core_of_its_own(*calls):
            latencies = self._latencies(run, calls, checkpoint)
            qualities = self._qualities(run, checkpoint)
            yield next(latencies)
            yield next(qualities)
            checkpoint()
            if found := self._flow():
                yield events.Structure(run=run, flow=found)
            self._receipt = layers.receipt(self.workload.module, self._variant.variant, self._variant.runner, example)
            yield events.Layers(run=run, receipt=self._receipt)
            yield from _by_turns(latencies, qualities)
        if message := disturbance_in_words(self._latency, crowding.share()):
            yield events.Notice(run=run, message=message)

    def form(self, run: int, checkpoint: Callable[[], None]) -> Iterator[events.Event]:
        """Yield size and latency alone: what is known of a variant before it is trained."""
        yield self._size(run)
        calls = self._calls()
        with core_of_its_own(*calls):
            for event in self._latencies(run, calls, checkpoint):
                yield event.model_copy(update={"final": False})

    def result(self) -> Result:
        """The finished figures; call it when :meth:`events` has ended."""
        threads = self.recipe.place.threads
        environment = identity.environment(threads, self.recipe.seed, offer.libraries())
        environment["quality_batch"] = self._quality_batch
        return Result(
            workload=self.workload.name,
            workload_id=self.workload.id,
            recipe=self.recipe.model_dump(mode="json"),
            baseline=self._side(self._baseline, self._latency.baseline, self._quality.baseline),
            variant=self._side(self._variant, self._latency.variant, self._quality.variant),
            speedup=self._latency.speedup,
            quality_loss=self._quality.loss,
            answers_changed=self._quality.changed,
            answers=self._quality.answers,
            receipt=self._receipt,
            settled=self._latency.settled,
            verdict=self._verdict(),
            environment=environment,
        )

    @property
    def doubt(self) -> str | None:
        """Words where the untouched model's figure shows that something is amiss; ``None`` where it doesn't."""
        return quality.doubt(self._judged, self.workload.task.metric)

    @property
    def overflow(self) -> str | None:
        """Words where outputs of the variant are no numbers; ``None`` where all are."""
        if not self._quality.overflown:
            return None
        told = f"{self._quality.overflown:,} of {self._quality.total:,} outputs hold NaN or infinity"
        if self._variant.variant.formats.cast == "float16":
            told += f": fp16 ends at {torch.finfo(torch.float16).max:,.0f}; choose bf16, which goes as far as float32"
        return told

    @property
    def baseline_engine(self) -> str:
        """What the variant is measured beside."""
        return self._baseline.place.engine

    @property
    def sides(self) -> tuple[Prepared, Prepared]:
        """Baseline and variant."""
        return self._baseline, self._variant

    def of_beginning(self, recipe: Recipe, variant: Prepared) -> Measurement:
        """A short one, of what the first steps of its recipe come to beside the same baseline."""
        return Measurement(
            self.workload,
            recipe,
            self._baseline,
            variant,
            self._judged,
            awaited=self._awaited,
            budget_s=_BEGINNING_SECONDS,
        )

    def was_slow(self, checkpoint: Callable[[], None]) -> bool:
        """Look again, later, at sides of which one was compared for the first time: nothing was there to judge that by.

        Whether either is faster now by more than quiet moments differ.
        """
        if not self._is_first:
            return False
        self._is_first = False
        calls, took_ms = self._calls(), (self._latency.baseline.p50, self._latency.variant.p50)
        with turn.measuring(data_directory(), waiting=checkpoint), core_of_its_own(*calls):
            return latency.is_faster_now(*calls, took_ms, self._paces(), checkpoint)

    def _example(self) -> Inputs:
        return self.workload.example(self.recipe.place.batch)

    def _flow(self) -> Flow | None:
        """``None`` where the model can't be watched: no picture is worth a run."""
        module = self._variant.variant.module
        if module not in _flows:
            try:
                _flows[module] = flow.flow(module, self.workload.example(1))
            except Exception:  # a model may do anything
                _flows[module] = None
        return _flows[module]

    @property
    def _quality_batch(self) -> int:
        return quality.batch_for(self.recipe.place.batch, self.workload.test.inputs)

    def _calls(self) -> list[latency.Call]:
        """One call of each side, on the same example."""
        example = self._example()
        return [lambda runner=side.runner: runner(*example) for side in self.sides]

    def _paces(self) -> tuple[Pace, Pace]:
        return self._baseline.pace, self._variant.pace

    def _size(self, run: int) -> events.Size:
        return events.Size(
            run=run,
            baseline_bytes=self._baseline.size_bytes,
            variant_bytes=self._variant.size_bytes,
            baseline_peak_memory_bytes=self._baseline.peak_memory_bytes,
            variant_peak_memory_bytes=self._variant.peak_memory_bytes,
        )

    def _latencies(self, run: int, calls: list[latency.Call], checkpoint: Callable[[], None]) -> Iterator[events.Event]:
        snapshots = latency.compare(
            *calls,
            seed=self.recipe.seed,
            budget_s=self._budget_s,
            steady=(self._baseline.steady, self._variant.steady),
            checkpoint=checkpoint,
            patience_s=self._budget_s * PATIENCE,
            paces=self._paces(),
        )
        for snapshot in snapshots:
            self._latency = snapshot
            yield events.Latency(
                run=run,
                baseline_engine=self._baseline.place.engine,
                baseline_precision=self._baseline.variant.precision,
                baseline=snapshot.baseline,
                variant=snapshot.variant,
                speedup=snapshot.speedup,
                baseline_samples_ms=snapshot.baseline_samples_ms,
                variant_samples_ms=snapshot.variant_samples_ms,
                settled=snapshot.settled,
                final=snapshot.final,
            )

    def _qualities(self, run: int, checkpoint: Callable[[], None]) -> Iterator[events.Event]:
        snapshots = quality.evaluate(
            self._judged,
            self._variant.runner,
            self.workload.test,
            self.workload.task.metric,
            batch=self._quality_batch,
            seed=self.recipe.seed,
            checkpoint=checkpoint,
        )
        for snapshot in snapshots:
            self._quality = snapshot
            yield events.Quality(
                run=run,
                baseline=snapshot.baseline,
                variant=snapshot.variant,
                loss=snapshot.loss,
                changed=snapshot.changed,
                answers=snapshot.answers,
                total=snapshot.total,
            )

    def _verdict(self) -> str:
        baseline = f"{self._baseline.place.engine} {self._baseline.variant.precision}"
        return verdict(
            self.recipe,
            self._latency.speedup,
            self._receipt,
            baseline=f"{baseline}, which stands in until {self._awaited} is ready" if self._awaited else baseline,
            calls=min(self._latency.baseline.n, self._latency.variant.n),
            baseline_ms=self._latency.baseline.p50,
            multiply_adds=sum(work.multiply_adds(self._variant.variant.module, self._example()).values()),
        )

    def _side(self, prepared: Prepared, figures: LatencyFigures, good: Quality) -> Side:
        counted = self.workload.task.counted
        handled = self.recipe.place.batch * counted.per_example
        return Side(
            engine=prepared.place.engine,
            device=prepared.place.device,
            latency_ms=figures,
            quality=good,
            size_bytes=prepared.size_bytes,
            peak_memory_bytes=prepared.peak_memory_bytes,
            throughput=Throughput(value=handled / figures.p50 * 1e3, unit=counted.unit),
            precision=prepared.variant.precision,
        )


def disturbance_in_words(latencies: latency.LatencySnapshot, others: float) -> str:
    """What else the machine did meanwhile, and what came of it; "" where it was nothing worth saying.

    ``others`` is the share of the processor that other programs used.
    """
    told = []
    if others > WORTH_SAYING:
        told.append(f"other programs used {100 * others:.0f} % of the processor meanwhile")
    if latencies.disturbed > WORTH_SAYING:
        told.append(
            f"{100 * latencies.disturbed:.0f} % of the comparison fell into disturbed moments and was set aside"
        )
    if latencies.slowed > 1:
        told.append(
            f"it took {latencies.slowed:.1f}× as long as a moment ago, whatever it was that slowed it: the interval "
            "reaches to what it was then"
        )
    elif not latencies.settled:
        told.append("too little of it was left alone: the interval reaches as far as others may have moved it")
    return "; ".join(told)


def _by_turns(*streams: Iterator[events.Event]) -> Iterator[events.Event]:
    """One from each stream in turn, until all have ended."""
    waiting = list(streams)
    while waiting:
        for stream in list(waiting):
            try:
                yield next(stream)
            except StopIteration:
                waiting.remove(stream)
