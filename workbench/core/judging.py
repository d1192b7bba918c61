"""The untouched model of each workload, by which the quality of its variants is judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench import engines
from workbench.core.placing import completions
from workbench.core.shelf import Shelf, plain
from workbench.measure import quality
from workbench.recipe import Recipe
from workbench.techniques import Context
from workbench.workload import LoadedWorkload

if TYPE_CHECKING:
    import torch


class Judgements:
    """What the untouched models answered, each example once, for as long as their workload is in memory."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._judged: dict[str, quality.Judged] = {}

    def of(self, workload: LoadedWorkload, batch: int, context: Context) -> quality.Judged:
        """What ``workload`` is judged by; its first examples at once, should a number be missing among its outputs.

        ``batch``: how many examples a call takes where the variant is measured. Raises :class:`WorkbenchError` where
        the untouched model's own quality is no number.
        """
        self._shelf.prepared(workload, untouched_recipe(), context)
        if workload.key not in self._judged:
            model = self.model(workload)
            self._judged[workload.key] = quality.Judged(model, workload.test, workload.task.metric)
        judged = self._judged[workload.key]
        at_a_time = quality.batch_for(batch, workload.test.inputs)
        first, *_ = judged.at(quality.in_turn(workload.test, at_a_time, context.seed)[0])
        if not first.isfinite().all():
            judged.require_number()
        return judged

    def model(self, workload: LoadedWorkload) -> quality.Model:
        """The untouched model, prepared again where it had to leave."""
        context, recipe = Context.of(workload), untouched_recipe()

        def model(*inputs: torch.Tensor) -> torch.Tensor:
            return self._shelf.prepared(workload, recipe, context).runner(*inputs)

        return model

    def forget(self, workload_key: str) -> None:
        """Let go of what was answered for this workload."""
        self._judged.pop(workload_key, None)


def untouched_recipe() -> Recipe:
    """Of the model by which quality is judged."""
    return plain(completions(Recipe())[0].place, engines.reference().name)
