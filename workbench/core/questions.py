"""What is asked about a variant that is no run: what can be taken away, its answers, a layer's numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from workbench import engines
from workbench.core import examples
from workbench.core.judging import Judgements, untouched_recipe
from workbench.core.mixing import Mixes, Wanted
from workbench.core.placing import completions, require_place
from workbench.core.saving import TakeAway
from workbench.core.sensitivity import Surveys, quantized_apart
from workbench.core.shelf import Prepared, Shelf
from workbench.core.workloads import Workloads
from workbench.engines import Runner
from workbench.errors import EngineError, WorkbenchError
from workbench.examples import Examples
from workbench.layer import LayerDetail
from workbench.machine import turn
from workbench.measure import quality
from workbench.measure.numbers import layer_detail
from workbench.mixtures import Mixture
from workbench.receipt import Result
from workbench.recipe import Recipe
from workbench.sensitivities import Sensitivity
from workbench.store import data_directory
from workbench.techniques import Context
from workbench.workload import LoadedWorkload


class Questions:
    """Answers about recipes on the workloads in memory, with what the shelf keeps."""

    def __init__(self, workloads: Workloads, shelf: Shelf, judgements: Judgements, mixes: Mixes) -> None:
        self._workloads, self._shelf, self._judgements, self._mixes = workloads, shelf, judgements, mixes
        self._surveys = Surveys()

    def forget(self, workload_key: str) -> None:
        """Let go of what was found for this workload."""
        self._surveys.forget(workload_key)

    def save(self, token: int, recipe: Recipe, result: Result | None, target: Path) -> list[Path]:
        """Write what can be taken away of a variant; see :meth:`workbench.core.saving.TakeAway.save`."""
        require_place(recipe.place)
        workload, complete = self._workloads.get(token), completions(recipe)[0]
        context = Context.of(workload, seed=recipe.seed)
        prepared = self._shelf.prepared(workload, complete, context)
        others = self._runners_that_save_more(workload, complete, context)
        return TakeAway(workload, complete, prepared, others, result).save(target)

    def examples(self, token: int, recipe: Recipe, limit: int, checkpoint: Callable[[], None]) -> Examples:
        """The test examples whose answers a recipe changed; see :class:`workbench.examples.Examples`.

        Keeps quiet while another process measures. ``checkpoint`` raises ``Cancelled`` to stop. Raises
        :class:`WorkbenchError` where the variant would have to be trained first.
        """
        require_place(recipe.place)
        turn.keep_quiet(data_directory(), checkpoint)
        workload = self._workloads.get(token)
        context = Context.of(workload, seed=recipe.seed, checkpoint=checkpoint)
        variant = self._without_training(workload, recipe, context)
        judged = self._judgements.of(workload, variant.place.batch, context)
        is_untouched = variant is self._shelf.prepared(workload, untouched_recipe(), context)
        batch = quality.batch_for(variant.place.batch, workload.test.inputs)
        runner = None if is_untouched else variant.runner
        untouched = self._judgements.model(workload)
        compared = examples.Compared(workload, untouched, judged, runner, batch, recipe.seed, limit)
        return examples.find(compared, checkpoint)

    def sensitivity(
        self,
        token: int,
        recipe: Recipe,
        schemes: Sequence[str],
        examples: int,
        checkpoint: Callable[[], None],
        *,
        train: bool,
    ) -> Iterator[Sensitivity]:
        """What each layer costs in each of ``schemes``, as it is found: :class:`workbench.sensitivities.Sensitivity`.

        Of the model as the recipe's other steps leave it. What was found before a ``Cancelled`` is kept. Raises
        :class:`WorkbenchError` where the model would have to be trained first and ``train`` isn't said, or no scheme
        has a form for a layer.
        """
        if examples < 1:
            raise WorkbenchError(f"examples is {examples}; look at 1 or more")
        workload, context = self._at_work_on(token, recipe, checkpoint)
        others, steps = quantized_apart(recipe, schemes)
        complete = completions(others)[0]
        if not train:
            self._require_trained(workload, complete, saturates=False)
        module = self._shelf.variant(workload, complete, context).module
        yield from self._surveys.of(workload, module, steps, examples, context)

    def mixed_precision(
        self, token: int, recipe: Recipe, wanted: Wanted, checkpoint: Callable[[], None], *, train: bool
    ) -> Iterator[Mixture]:
        """The fastest scheme for each layer within a loss of quality, the best so far: see :class:`Mixing`.

        What was found before a ``Cancelled`` is kept. Raises :class:`WorkbenchError` as :class:`Mixing` does, and where
        the model would have to be trained first and ``train`` isn't said.
        """
        require_place(recipe.place)
        workload, context = self._at_work_on(token, recipe, checkpoint)
        if not train:
            self._require_trained(workload, completions(quantized_apart(recipe, ())[0])[0], saturates=False)
        yield from self._mixes.of(workload, recipe, wanted, self._judgements.model(workload), context)

    def layer(self, token: int, recipe: Recipe, layer: str) -> LayerDetail:
        """The numbers of a layer's weights in a variant that was measured and is still at hand: it prepares nothing.

        Raises :class:`WorkbenchError` where the variant isn't, or there is no such layer.
        """
        workload = self._workloads.get(token) if token in self._workloads else None
        prepared = workload and self._shelf.find(workload, completions(recipe)[0])
        if not prepared:
            raise WorkbenchError("the weights of this run aren't in memory any more; measure it again to see them")
        return layer_detail(workload.module, prepared.variant, prepared.runner.kernels, layer)

    def _at_work_on(self, token: int, recipe: Recipe, checkpoint: Callable[[], None]) -> tuple[LoadedWorkload, Context]:
        """The workload in memory, and what techniques may use of it; quiet while another process measures."""
        quiet = partial(turn.keep_quiet, data_directory(), checkpoint)  # others may begin to measure meanwhile
        quiet()
        workload = self._workloads.get(token)
        return workload, Context.of(workload, seed=recipe.seed, checkpoint=quiet)

    def _without_training(self, workload: LoadedWorkload, recipe: Recipe, context: Context) -> Prepared:
        """The variant where it is kept, or can be made without a training."""
        candidates = completions(recipe)
        kept = (each for each in candidates if self._shelf.has(workload, each))
        chosen = next(kept, candidates[0])
        self._require_trained(workload, chosen, saturates=engines.find(chosen.place.engine).saturates())
        return self._shelf.prepared(workload, chosen, context)

    def _require_trained(self, workload: LoadedWorkload, recipe: Recipe, *, saturates: bool) -> None:
        done = self._shelf.steps_done(workload, recipe, saturates=saturates)
        if any(step.training_epochs() for step in recipe.steps[done:]):
            raise WorkbenchError("this model isn't kept any more and would have to be trained again; measure it again")

    def _runners_that_save_more(self, workload: LoadedWorkload, recipe: Recipe, context: Context) -> Iterator[Runner]:
        """The same variant on other engines that are here and take it, as long as one saves a form not yet saved."""
        saved = set(engines.find(recipe.place.engine).exports)
        for name, engine in engines.registered().items():
            if saved.issuperset(engine.exports):
                continue
            there = recipe.model_copy(update={"place": recipe.place.model_copy(update={"engine": name})})
            with contextlib.suppress(EngineError):
                yield self._shelf.prepared(workload, there, context).runner
                saved.update(engine.exports)
