"""One comparison: latency, accuracy and layers of a variant beside its baseline, as events and then as a result."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from workbench import events
from workbench.core import offer
from workbench.core.shelf import Prepared
from workbench.machine import identity
from workbench.machine.affinity import core_of_its_own
from workbench.machine.crowding import WORTH_SAYING, Crowding
from workbench.measure import accuracy, latency, layers, work
from workbench.measure.verdict import verdict
from workbench.receipt import LayerReceipt, Result, Side
from workbench.recipe import Recipe
from workbench.workload import LoadedWorkload

LATENCY_BUDGET_SECONDS = 3.7
LATENCY_PATIENCE_SECONDS = 8.0
"""Beside other programs: one that comes and goes within 0.1 to 10 s hardly ever leaves no second free in this time."""


class Measurement:
    """Measure ``variant`` beside ``baseline``; iterate over :meth:`events`, then ask for :meth:`result`.

    ``awaited`` names the engine that may be a faster baseline and isn't ready yet; "" where there is none.
    ``baseline_predictions`` are the untouched model's classes of all test examples, int64 [N].
    """

    def __init__(
        self,
        workload: LoadedWorkload,
        recipe: Recipe,
        baseline: Prepared,
        variant: Prepared,
        baseline_predictions: torch.Tensor,
        *,
        awaited: str,
    ) -> None:
        self._workload = workload
        self.recipe = recipe
        self._baseline = baseline
        self._variant = variant
        self._baseline_predictions = baseline_predictions
        self._awaited = awaited
        self._latency: latency.LatencySnapshot | None = None
        self._accuracy: accuracy.AccuracySnapshot | None = None
        self._receipt: tuple[LayerReceipt, ...] = ()

    def events(self, run: int, checkpoint: Callable[[], None]) -> Iterator[events.Event]:
        """Yield figures as they tighten: latency and accuracy by turns, the receipt after the first of each."""
        yield events.Size(
            run=run,
            baseline_bytes=self._baseline.size_bytes,
            variant_bytes=self._variant.size_bytes,
            baseline_peak_memory_bytes=self._baseline.peak_memory_bytes,
            variant_peak_memory_bytes=self._variant.peak_memory_bytes,
        )
        crowding = Crowding()
        example = self._workload.example(self.recipe.place.batch)
        calls = [lambda runner=side.runner: runner(example) for side in (self._baseline, self._variant)]
        with core_of_its_own(*calls):
            latencies = self._latencies(run, calls, checkpoint)
            accuracies = self._accuracies(run, checkpoint)
            yield next(latencies)
            yield next(accuracies)
            checkpoint()
            self._receipt = layers.receipt(self._workload.module, self._variant.variant, self._variant.runner, example)
            yield events.Layers(run=run, receipt=self._receipt)
            yield from _by_turns(latencies, accuracies)
        if message := disturbance_in_words(self._latency, crowding.share()):
            yield events.Notice(run=run, message=message)

    def result(self) -> Result:
        """The finished figures; call it when :meth:`events` has ended."""
        threads = self.recipe.place.threads
        environment = identity.environment(threads, self.recipe.seed, offer.libraries())
        environment["accuracy_batch"] = accuracy.batch_for(self.recipe.place.batch)
        return Result(
            workload=self._workload.name,
            workload_id=self._workload.id,
            recipe=self.recipe.model_dump(mode="json"),
            baseline=self._side(self._baseline, self._latency.baseline, self._accuracy.baseline),
            variant=self._side(self._variant, self._latency.variant, self._accuracy.variant),
            speedup=self._latency.speedup,
            accuracy_drop=self._accuracy.drop,
            predictions_changed=self._accuracy.changed,
            receipt=self._receipt,
            verdict=self._verdict(),
            environment=environment,
        )

    def _latencies(self, run: int, calls: list[latency.Call], checkpoint: Callable[[], None]) -> Iterator[events.Event]:
        snapshots = latency.compare(
            *calls,
            seed=self.recipe.seed,
            budget_s=LATENCY_BUDGET_SECONDS,
            steady=(self._baseline.steady, self._variant.steady),
            checkpoint=checkpoint,
            patience_s=LATENCY_PATIENCE_SECONDS,
            paces=(self._baseline.pace, self._variant.pace),
        )
        for snapshot in snapshots:
            self._latency = snapshot
            yield events.Latency(
                run=run,
                baseline_engine=self._baseline.place.engine,
                baseline=snapshot.baseline,
                variant=snapshot.variant,
                speedup=snapshot.speedup,
                baseline_samples_ms=snapshot.baseline_samples_ms,
                variant_samples_ms=snapshot.variant_samples_ms,
                final=snapshot.final,
            )

    def _accuracies(self, run: int, checkpoint: Callable[[], None]) -> Iterator[events.Event]:
        snapshots = accuracy.evaluate(
            self._baseline_predictions,
            self._variant.runner,
            self._workload.test,
            batch=accuracy.batch_for(self.recipe.place.batch),
            seed=self.recipe.seed,
            checkpoint=checkpoint,
        )
        for snapshot in snapshots:
            self._accuracy = snapshot
            yield events.Accuracy(
                run=run,
                baseline=snapshot.baseline,
                variant=snapshot.variant,
                drop=snapshot.drop,
                changed=snapshot.changed,
                total=snapshot.total,
            )

    def _verdict(self) -> str:
        example = self._workload.example(self.recipe.place.batch)
        baseline = f"{self._baseline.place.engine} fp32"
        return verdict(
            self.recipe,
            self._latency.speedup,
            self._receipt,
            baseline=f"{baseline}, which stands in until {self._awaited} is ready" if self._awaited else baseline,
            calls=min(self._latency.baseline.n, self._latency.variant.n),
            baseline_ms=self._latency.baseline.p50,
            multiply_adds=sum(work.multiply_adds(self._variant.variant.module, example).values()),
        )

    @staticmethod
    def _side(prepared: Prepared, figures: latency.LatencyFigures, proportion: accuracy.Proportion) -> Side:
        return Side(
            engine=prepared.place.engine,
            device=prepared.place.device,
            latency_ms=figures,
            accuracy=proportion,
            size_bytes=prepared.size_bytes,
            peak_memory_bytes=prepared.peak_memory_bytes,
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
