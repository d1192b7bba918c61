"""Which layer costs the model what in which scheme: found piece by piece, and kept where it was left."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch

from workbench import engines
from workbench.errors import RecipeError, WorkbenchError
from workbench.measure import quality
from workbench.recipe import Recipe
from workbench.sensitivities import Cell, Effect, Sensitivity
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize, schemes
from workbench.workload import LoadedWorkload, at_a_time

if TYPE_CHECKING:
    from workbench.graph.swapping import Looked
    from workbench.tasks import Metric
    from workbench.techniques.quantize.apart import Apart

Piece = Callable[[Context], None]
_SHOWN_EVERY_S = 0.25
_SURVEYS_KEPT = 2
_AT_ONCE = 256
_KEPT_BYTES = 2**28
"""Of all values of a graph, for the examples that are looked at together."""
_WEIGHED = 8
"""Examples by which it is found how much that is for each."""


def quantized_apart(recipe: Recipe, names: Sequence[str]) -> tuple[Recipe, list[Quantize]]:
    """The recipe without quantization, on the reference engine, and a step for each scheme that is named.

    Those that tell layers apart where none is named. Other options are as the recipe's own step has them, but that
    none trains. Raises :class:`RecipeError` where a name is of no scheme for a layer.
    """
    asked = [schemes.full_name_for_a_layer(name) for name in names] or schemes.TELLING
    if schemes.KEPT in asked:
        raise RecipeError(f"{schemes.KEPT} is what layers are compared with; leave it out")
    own = next((step for step in recipe.steps if isinstance(step, Quantize)), Quantize())
    others = tuple(step for step in recipe.steps if not isinstance(step, Quantize))
    plainly = {"budget": None, "overrides": {}, "epochs": 0}
    steps = [own.model_copy(update={"scheme": name, **plainly}) for name in dict.fromkeys(asked)]
    place = recipe.place.model_copy(update={"engine": engines.reference().name})
    return recipe.model_copy(update={"steps": others, "place": place}), steps


class Surveys:
    """The last few surveys, each gone on with where it was left."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple, Survey] = OrderedDict()

    def of(
        self, workload: LoadedWorkload, module: torch.nn.Module, steps: list[Quantize], examples: int, context: Context
    ) -> Iterator[Sensitivity]:
        """What is known at once, if anything, and then every quarter of a second until all is."""
        key = workload.key, id(module), tuple(step.model_dump_json() for step in steps), examples, context.seed
        if key not in self._kept:
            self._kept[key] = Survey(workload, module, steps, examples, context.seed)
            while len(self._kept) > _SURVEYS_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        survey, shown_at = self._kept[key], 0.0
        try:
            while not survey.is_over:
                survey.advance(context)
                if survey.has_begun and time.perf_counter() - shown_at > _SHOWN_EVERY_S and not survey.is_over:
                    yield survey.told()
                    shown_at = time.perf_counter()
            yield survey.told()
        finally:
            survey.rest()

    def forget(self, workload_key: str) -> None:
        """Let go of what was found for this workload."""
        for key in [key for key in self._kept if key[0] == workload_key]:
            del self._kept[key]


class Survey:
    """The work of finding a :class:`Sensitivity`, in pieces of a fraction of a second.

    Parameters
    ----------
    workload
        Its test examples are looked at, its training examples calibrate.
    module
        The model, float32.
    steps
        One for each scheme.
    examples
        How many test examples are looked at; all where there are fewer.
    all_but
        Whether it is also looked at what all layers but one do.
    """

    def __init__(
        self,
        workload: LoadedWorkload,
        module: torch.nn.Module,
        steps: list[Quantize],
        examples: int,
        seed: int,
        *,
        all_but: bool = True,
    ) -> None:
        self._workload, self._module, self._seed = workload, module, seed
        self._turns = (True, False) if all_but else (True,)
        self._steps = {step.scheme: step for step in steps}
        self._examples = min(examples, len(workload.test))
        self._apart: dict[str, Apart] = {}
        self._impossible: dict[str, str] = {}
        self._chunks: tuple[torch.Tensor, ...] = ()
        self._exact: tuple[int, torch.Tensor] | None = None
        self._tallies: dict[tuple[str, str, bool], _Tally] = {}
        self._looked: tuple[tuple, Looked] | None = None
        self._pieces = self._in_order()
        self._piece: Piece | None = None
        self._done = 0
        self.is_over = False

    def advance(self, context: Context) -> None:
        """Do the next piece. Where the context's checkpoint raises, that piece comes again.

        Raises :class:`WorkbenchError` where none of the schemes has a form for any layer.
        """
        self._piece = self._piece or next(self._pieces, None)
        if self._piece is None:
            if not any(each.calls for each in self._apart.values()):
                reasons = (
                    *self._impossible.values(),
                    *(why for each in self._apart.values() for why in each.unlike.values()),
                )
                raise WorkbenchError("; ".join(dict.fromkeys(reasons)) or "no layer has a form in any of the schemes")
            self.is_over = True
            return
        self._piece(context)
        self._piece = None
        self._done += 1

    def rest(self) -> None:
        """Let go of what takes memory and is soon found again."""
        self._looked = self._exact = None

    @property
    def has_begun(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self._tallies)

    def told(self) -> Sensitivity:
        """What is known by now."""
        metric = self._workload.task.metric
        layers = next((each.layers for each in self._apart.values()), ())
        most = max(self._tallies.values(), key=lambda tally: tally.n, default=None)
        return Sensitivity(
            metric=metric.name,
            title=metric.title,
            unit=metric.unit,
            better=metric.better,
            value=most.before(self._examples) if most else None,
            layers=layers,
            schemes=tuple(self._steps),
            cells=tuple(self._cell(layer, scheme) for layer in layers for scheme in self._steps),
            examples=self._examples,
            done=1.0 if self.is_over else self._done / max(self._total(), self._done + 1),
            final=self.is_over,
        )

    # -- the pieces, in their order

    def _in_order(self) -> Iterator[Piece]:
        """First a look at each layer in each scheme, those whose own outputs are off most first; then more examples."""
        for scheme in self._steps:
            yield partial(self._prepare, scheme)
            yield from self._looks(scheme, 0, alone=True)
        for alone in self._turns:
            for chunk in range(1 if alone else 0, len(self._chunks)):
                for scheme in self._apart:
                    yield from self._looks(scheme, chunk, alone=alone)

    def _looks(self, scheme: str, chunk: int, *, alone: bool) -> Iterator[Piece]:
        errors = self._apart[scheme].errors if scheme in self._apart else {}
        for layer in sorted(errors, key=lambda name: (math.isfinite(errors[name]), -errors[name])):
            yield partial(self._look, layer, scheme, chunk, alone)

    def _total(self) -> int:
        """Pieces; schemes that weren't prepared yet are taken to have as many layers as the largest that was."""
        layers = [len(each.calls) for each in self._apart.values()]
        waiting = len(self._steps) - len(self._apart) - len(self._impossible)
        return len(self._steps) + len(self._turns) * len(self._chunks) * (
            sum(layers) + waiting * max(layers, default=0)
        )

    def _prepare(self, scheme: str, context: Context) -> None:
        try:
            found = self._steps[scheme].apart(self._module, context)
        except WorkbenchError as error:
            self._impossible[scheme] = str(error)
            return
        self._chunks = self._chunks or self._in_chunks(found)
        self._apart[scheme] = found

    def _in_chunks(self, apart: Apart) -> tuple[torch.Tensor, ...]:
        """The numbers of the examples, int64 [n] at a time, as many as there is room for."""
        test = self._workload.test
        few = test.at(quality.in_turn(test, _WEIGHED, self._seed)[0])
        kept_bytes = max(look(few.inputs).kept_bytes for look in (apart.looked, apart.looked_quantized))
        room = max(1, _KEPT_BYTES * len(few) // kept_bytes)
        chunks, left = [], self._examples
        for chunk in quality.in_turn(test, min(at_a_time(test.inputs, _AT_ONCE), room), self._seed):
            chunks.append(chunk[:left])
            left -= len(chunks[-1])
            if not left:
                break
        return tuple(chunks)

    def _look(self, layer: str, scheme: str, chunk: int, alone: bool, context: Context) -> None:
        """Swap one layer, for one chunk of examples."""
        context.checkpoint()
        apart, examples = self._apart[scheme], self._workload.test.at(self._chunks[chunk])
        key = scheme, chunk, alone
        if self._looked is None or self._looked[0] != key:
            self._looked = None  # before the next takes as much memory
            self._looked = key, (apart.looked if alone else apart.looked_quantized)(examples.inputs)
        looked = self._looked[1]
        if self._exact is None or self._exact[0] != chunk:
            self._exact = chunk, looked.outputs if alone else apart.looked(examples.inputs).outputs
        outputs = apart.only(looked, layer) if alone else apart.all_but(looked, layer)
        tally = self._tallies.setdefault((layer, scheme, alone), _Tally(self._workload.task.metric, self._seed))
        tally.add(self._exact[1], outputs, examples.targets)

    # -- what is told

    def _cell(self, layer: str, scheme: str) -> Cell:
        apart = self._apart.get(scheme)
        if apart is None or layer not in apart.calls:
            return Cell(layer=layer, scheme=scheme, reason=self._why_not(layer, scheme))
        only, all_but = (self._tallies.get((layer, scheme, alone)) for alone in (True, False))
        return Cell(
            layer=layer,
            scheme=scheme,
            own=apart.errors[layer] if math.isfinite(apart.errors[layer]) else None,
            only=only and only.effect(self._examples),
            all_but=all_but and all_but.effect(self._examples),
        )

    def _why_not(self, layer: str, scheme: str) -> str:
        if scheme in self._impossible:
            return self._impossible[scheme]
        if scheme not in self._apart:
            return ""  # not yet
        apart, module = self._apart[scheme], dict(self._module.named_modules()).get(layer)
        unlike = apart.unlike.get(layer)
        return unlike or (module is not None and self._steps[scheme].unfit(module)) or f"has no form in {scheme}"


class _Tally:
    """The effect of one change on the examples seen by now."""

    def __init__(self, metric: Metric, seed: int) -> None:
        self._metric, self._figures = metric, quality.paired_figures(metric, seed)
        self._moved = self._size = 0.0
        self.n = 0
        self._told: tuple[int, float | None, Effect] | None = None

    def add(self, exact: torch.Tensor, outputs: torch.Tensor, targets: torch.Tensor | None) -> None:
        """Outputs [n, …] with and without the change."""
        metric, exact, outputs = self._metric, exact.float(), outputs.float()
        targets = exact if metric.compares_with_untouched else targets
        self._figures.add(metric.terms(exact, targets).numpy(), metric.terms(outputs, targets).numpy())
        finite = exact.isfinite()
        self._moved += float((outputs - exact)[finite].double().square().sum())
        self._size += float(exact[finite].double().square().sum())
        self.n += len(exact)

    def before(self, examples: int) -> float | None:
        """What the metric comes to without the change; ``examples`` is how many there will be."""
        return self._tell(examples)[0]

    def effect(self, examples: int) -> Effect:
        """What the change does; ``examples`` is how many there will be."""
        return self._tell(examples)[1]

    def _tell(self, examples: int) -> tuple[float | None, Effect]:
        if self._told is None or self._told[0] != self.n:
            before, _, loss = self._figures.told(final=self.n == examples)
            is_number = all(map(math.isfinite, (loss.value, loss.low, loss.high)))
            error = math.sqrt(self._moved / self._size) if self._size else 0.0 if not self._moved else math.inf
            effect = Effect(loss=loss if is_number else None, error=error if math.isfinite(error) else None, n=self.n)
            self._told = self.n, before.value if math.isfinite(before.value) else None, effect
        return self._told[1:]
