"""The search that a recipe leaves the schemes of layers to, from its beginning to the recipe that it ends in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace

from workbench.core.mixing import Mixes
from workbench.core.mixing.wanted import Wanted
from workbench.errors import Cancelled
from workbench.measure import quality
from workbench.mixtures import Mixture
from workbench.recipe import Recipe
from workbench.techniques import Context
from workbench.workload import LoadedWorkload


class _Enough(Cancelled):
    """The person takes the best so far."""


def searched(
    mixes: Mixes,
    workload: LoadedWorkload,
    recipe: Recipe,
    model: quality.Model,
    context: Context,
    enough: Callable[[], bool],
) -> Iterator[Mixture]:
    """What is known, piece by piece; the last that has a recipe has the one to go on with.

    ``model`` is the untouched one. It ends once ``enough`` says so and the best can be taken, in the middle of a piece
    too. What goes on within a piece isn't told as progress. Raises what :meth:`Mixing.states` raises.
    """
    best: Mixture | None = None

    def has_enough() -> bool:
        return best is not None and best.can_be_taken and enough()

    def checkpoint() -> None:
        context.checkpoint()
        if has_enough():
            raise _Enough

    quietly = replace(context, checkpoint=checkpoint, progress=lambda message, done, total: None)
    with contextlib.suppress(_Enough):
        for found in mixes.of(workload, recipe, Wanted(recipe.open_step.budget), model, quietly):
            best = found if found.recipe else best
            yield found
            if has_enough():
                return
