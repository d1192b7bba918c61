"""Single layers: the time each takes in each scheme, and what the model loses if only it is so."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace

from workbench.core.mixing.bench import Bench
from workbench.core.sensitivity import Survey
from workbench.errors import WorkbenchError
from workbench.machine import turn
from workbench.machine.spinning import wait_for_sleeping_threads
from workbench.plumbing.directory import data_directory
from workbench.search.knapsack import Assignment, Option, Options
from workbench.search.mending import WORTH
from workbench.techniques import Context
from workbench.techniques.quantize import schemes
from workbench.techniques.quantize.layers import own_layers, quantizable_layers
from workbench.techniques.quantize.schemes import KEPT, SCHEMES
from workbench.workload import Data

_ROUNDS = 5
"""A layer's time is the least of so many, taken in turn with those of all schemes: moments of the machine differ."""
_EXAMPLES = 1000
"""On which single layers are looked at: it takes PyTorch far longer than an engine takes for the whole model."""
_SHOWN_EVERY_S = 0.25


class Layers:
    """The layers that have a form in any scheme and none that is fixed, in execution order; what is known of each.

    ``judging``: the examples on which losses are found.
    """

    def __init__(self, bench: Bench, judging: Data) -> None:
        self._bench, self._judging = bench, judging
        self._forms: dict[str, frozenset[str]] = {}
        self._times: dict[str, dict[str, float]] = {}
        self._survey: Survey | None = None
        self.names: tuple[str, ...] = ()
        self.options: Options = {}

    def uniform(self, scheme: str) -> Assignment:
        """Every layer in ``scheme`` that has a form in it."""
        return {layer: scheme if self.has_form(layer, scheme) else KEPT for layer in self.names}

    def has_form(self, layer: str, scheme: str) -> bool:
        """Whether the layer can be in ``scheme``, and is where all layers are asked to."""
        return layer in self._forms.get(scheme, ())

    # -- times

    def timed(self, context: Context) -> Iterator[str]:
        """Prepare each scheme for all layers, and time the layers in each; says what comes next."""
        if self.names:
            return
        yield "preparing fp32"
        self._bench.prepared(self._bench.kept, context)
        self._times = self._least({KEPT}, context)
        for scheme in self._bench.steps:
            if self._may_pay(scheme, context):
                yield f"preparing {scheme}"
                self._find_forms(scheme, context)
        yield "timing the layers"
        self._times = self._least({KEPT, *self._forms}, context)
        formed = frozenset().union(*self._forms.values())
        free = (layer for layer in self._times[KEPT] if not self._bench.is_fixed(layer))
        self.names = tuple(layer for layer in free if layer in formed)

    def _may_pay(self, scheme: str, context: Context) -> bool:
        """Whether the layers that can be in ``scheme`` take time worth saving; only the graph tells of some."""
        module = self._bench.shelf.variant(self._bench.workload, self._bench.kept, context).module
        takes = {*quantizable_layers(module, SCHEMES[scheme]), *own_layers(module)}
        times = self._times[KEPT]
        theirs = sum(took_ms for layer, took_ms in times.items() if any(schemes.names(each, layer) for each in takes))
        return scheme == self._bench.reference or theirs > WORTH * sum(times.values())

    def _find_forms(self, scheme: str, context: Context) -> None:
        """None where the engine doesn't run the scheme, or nothing in the model is changed by it."""
        from workbench.techniques.quantize.pt2e import layers_by_dtype

        try:
            variant = self._bench.prepared(self._bench.quantized(scheme), context).variant
        except WorkbenchError:
            return
        quantized, _ = layers_by_dtype(variant.graph, lambda _: SCHEMES[scheme].weights_only)
        self._forms[scheme] = frozenset(quantized)

    def _least(self, asked: set[str], context: Context) -> dict[str, dict[str, float]]:
        """By scheme and layer the time it takes."""
        recipes = {name: self._bench.kept if name == KEPT else self._bench.quantized(name) for name in sorted(asked)}
        runners = {name: self._bench.prepared(recipe, context).runner for name, recipe in recipes.items()}
        times: dict[str, dict[str, float]] = {name: {} for name in runners}
        with turn.measuring(data_directory(), waiting=context.checkpoint):
            for _ in range(_ROUNDS):
                for name, runner in runners.items():
                    context.checkpoint()
                    wait_for_sleeping_threads()
                    for layer, took_ms in runner.layer_times_ms(self._bench.example).items():
                        times[name][layer] = min(took_ms, times[name].get(layer, math.inf))
        return times

    # -- losses

    def surveyed(self, context: Context, ends_at: float) -> Iterator[str]:
        """What each layer loses alone, in the schemes that make any layer faster; says how far that is.

        Until ``ends_at`` of ``time.monotonic``: of what isn't known by then there is no option.
        """
        survey, shown_at = self._begun(context), time.monotonic()
        while survey and not survey.is_over and time.monotonic() < ends_at:
            survey.advance(context)
            if time.monotonic() - shown_at > _SHOWN_EVERY_S:
                yield f"finding what each layer costs, {100 * survey.told().done:.0f} %"
                shown_at = time.monotonic()
        self.options = {layer: self._options(layer) for layer in self.names}
        if survey:
            survey.rest()

    def _begun(self, context: Context) -> Survey | None:
        if self._survey is None:
            bench = self._bench
            faster = [step for scheme, step in bench.steps.items() if self._is_faster(scheme)]
            if faster:
                module = bench.shelf.variant(bench.workload, bench.kept, context).module
                judged = replace(bench.workload, test=self._judging)
                self._survey = Survey(judged, module, faster, _EXAMPLES, bench.kept.seed, all_but=False)
        return self._survey

    def _is_faster(self, scheme: str) -> bool:
        exact, there = self._times[KEPT], self._times.get(scheme, {})
        return any(there.get(layer, math.inf) < exact.get(layer, 0.0) for layer in self._forms.get(scheme, ()))

    def _options(self, layer: str) -> dict[str, Option]:
        options = {KEPT: Option(self._times[KEPT][layer])}
        for cell in self._survey.told().cells if self._survey else ():
            if cell.layer == layer and self.has_form(layer, cell.scheme) and layer in self._times[cell.scheme]:
                only = cell.only
                if only and only.loss and only.error is not None:
                    took_ms = self._times[cell.scheme][layer]
                    options[cell.scheme] = Option(took_ms, max(only.loss.value, 0.0), only.error, only.loss.low)
        return options

    # -- sums

    def estimated_loss(self, assignment: Assignment) -> float | None:
        """The layers' losses, added up; ``None`` where one isn't known."""
        chosen = [self.options.get(layer, {}).get(scheme) for layer, scheme in assignment.items()]
        return None if None in chosen else sum(each.loss for each in chosen)

    def estimated_speedup(self, assignment: Assignment) -> float:
        """How many times as fast as the reference by the times of layers, added up."""
        return self._sum_ms(self.uniform(self._bench.reference)) / self._sum_ms(assignment)

    def _sum_ms(self, assignment: Assignment) -> float:
        """Layers of no scheme take what they do in the reference."""
        others = self._times[self._bench.reference]
        rest_ms = sum(took_ms for layer, took_ms in others.items() if layer not in assignment)
        return rest_ms + sum(self._times[scheme].get(layer, 0.0) for layer, scheme in assignment.items())
