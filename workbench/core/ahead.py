"""Which recipes may come next: those one toggle away from the present one, most likely first."""

from __future__ import annotations

from collections.abc import Iterator

from workbench import engines, precisions, techniques
from workbench.recipe import Recipe
from workbench.techniques import Technique

_LIKELY_BITS = 8
"""Of weights, at least: schemes of fewer are many, each is seldom chosen, and rounding to them is learned first."""


def neighbours(recipe: Recipe) -> Iterator[Recipe]:
    """Yield the recipes one click away that need no training and no slow engine.

    First each toggle flipped, then the likely choices of the toggles that are on, then the other engines.
    What an engine refuses is left out.
    """
    seen = {recipe.key()}
    for candidate in (*_toggled(recipe), *_other_choices(recipe), *_other_engines(recipe)):
        if candidate.key() not in seen and _runs(candidate):
            seen.add(candidate.key())
            yield candidate


def trained(recipe: Recipe) -> Iterator[tuple[str, Recipe]]:
    """Yield each technique that is off and trains as it comes, and the recipe with it."""
    on = {step.do for step in recipe.steps}
    for name, technique in techniques.registered().items():
        if name not in on and technique().training_epochs():
            yield name, _with_one_more(recipe, technique())


def _toggled(recipe: Recipe) -> Iterator[Recipe]:
    for name, technique in techniques.registered().items():
        others = [step for step in recipe.steps if step.do != name]
        if len(others) < len(recipe.steps):
            yield _with_steps(recipe, others)
        elif not technique().training_epochs():
            yield _with_one_more(recipe, technique())


def _other_choices(recipe: Recipe) -> Iterator[Recipe]:
    """The other values of the main choice of each step that is on ("scheme" of quantize) which many choose."""
    for index, step in enumerate(recipe.steps):
        for value in step.choices(step.main_option):
            changed = step.model_copy(update={step.main_option: value})
            if not changed.training_epochs() and not changed.searches() and _is_likely(changed):
                yield _with_steps(recipe, [*recipe.steps[:index], changed, *recipe.steps[index + 1 :]])


def _is_likely(step: Technique) -> bool:
    weights = precisions.find(step.precision).weights if step.precision else None
    return weights is None or weights.bits >= _LIKELY_BITS


def _other_engines(recipe: Recipe) -> Iterator[Recipe]:
    for name, engine in engines.registered().items():
        if not engine.slow_to_prepare:
            yield recipe.model_copy(update={"place": recipe.place.model_copy(update={"engine": name})})


def _with_one_more(recipe: Recipe, step: Technique) -> Recipe:
    at = techniques.position(step.do, [each.do for each in recipe.steps])
    return _with_steps(recipe, [*recipe.steps[:at], step, *recipe.steps[at:]])


def _with_steps(recipe: Recipe, steps: list[Technique]) -> Recipe:
    return recipe.model_copy(update={"steps": tuple(steps)})


def _runs(recipe: Recipe) -> bool:
    if recipe.place.engine == "auto":
        return True
    return engines.find(recipe.place.engine).why_not(recipe.precisions, recipe.place.device) is None
