"""What is known of a recipe that trains before it is trained: how long that takes, and its form: size and latency."""

from __future__ import annotations

from dataclasses import replace

from workbench.core.shelf import Shelf
from workbench.recipe import Recipe
from workbench.techniques import Context
from workbench.workload import LoadedWorkload, at_a_time

_EXAMPLES = 384
"""Three steps of the usual batch; fewer of large ones."""


class Rehearsals:
    """Applies steps with so few training examples that they are soon done; keeps what came of it.

    The models that it leaves on its :attr:`shelf`, within ``budget_bytes``, have the form and the speed of trained ones
    and nothing else of them.
    """

    def __init__(self, budget_bytes: int) -> None:
        self.shelf = Shelf(budget_bytes)
        self._spent: dict[tuple[str, str], list[float]] = {}

    @staticmethod
    def few(workload: LoadedWorkload, context: Context) -> tuple[LoadedWorkload, Context]:
        """Both with the few training examples alone; no curve is drawn of them."""
        train = workload.train.at(slice(at_a_time(workload.train.inputs, _EXAMPLES)))
        return replace(workload, train=train), replace(context, train=train, curve=lambda point: None)

    def seconds(self, workload: LoadedWorkload, recipe: Recipe, context: Context, done: int = 0) -> float:
        """About how long the training of a recipe's steps takes; of the first ``done`` none is needed any more."""
        few, context = self.few(workload, context)
        spent = 0.0
        for count, (step, key) in enumerate(zip(recipe.steps, recipe.step_keys(), strict=True), start=1):
            if count <= done or not step.training_epochs():
                continue
            if (workload.key, key) not in self._spent:
                seconds: list[float] = []
                beginning = recipe.model_copy(update={"steps": recipe.steps[:count]})
                self.shelf.variant(few, beginning, replace(context, spent=seconds.append))
                self._spent[workload.key, key] = seconds
            spent += sum(self._spent[workload.key, key])
        return spent * len(workload.train) / max(1, len(few.train))

    def forget(self, workload_key: str) -> None:
        """Let go of everything made from this workload."""
        self.shelf.forget(workload_key)
        self._spent = {key: seconds for key, seconds in self._spent.items() if key[0] != workload_key}
