"""Recipes one click away that weren't asked for yet: what is known of them, and nothing that isn't."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from workbench.catalog import Catalog, TechniqueInfo
from workbench.errors import RecipeError
from workbench.events import Blocked
from workbench.receipt import Result
from workbench.recipe import Recipe
from workbench.widgets import _format as fmt

_MOST = 3


@dataclass(frozen=True)
class Suggestion:
    """A recipe, what it does in one line, and the gain of a stored run of it; "" where there is none."""

    name: str
    recipe: Recipe
    gain: str = ""

    def view(self) -> dict[str, Any]:
        """As the browser is sent it."""
        return {"name": self.name, "recipe": self.recipe.model_dump(mode="json"), "gain": self.gain}


def suggestions(
    recipe: Recipe,
    catalog: Catalog,
    asked: Iterable[Recipe],
    blocked: dict[str, Blocked],
    stored: Iterable[Result],
) -> list[Suggestion]:
    """At most three, cheapest first: the best engine here, and each technique that is off and could do something.

    ``asked`` are the recipes that this page has sent off; ``stored`` are runs of this workload, oldest first.
    """
    known = {_placed(each, catalog).key() for each in asked}
    gains = {Recipe.parse(run.recipe).key(): _gain(run) for run in stored if _is_read(run)}
    found = []
    for name, candidate in _candidates(recipe, catalog, blocked):
        key = _placed(candidate, catalog).key()
        if key not in known:
            found.append(Suggestion(name, candidate, gains.get(key, "")))
    return found[:_MOST]


def _candidates(recipe: Recipe, catalog: Catalog, blocked: dict[str, Blocked]) -> Iterator[tuple[str, Recipe]]:
    best = recipe.place.model_copy(update={"engine": "auto"})
    if recipe.place.engine != "auto":
        yield "The best engine here", recipe.model_copy(update={"place": best})
    on = {step.do for step in recipe.steps}
    for technique in catalog.techniques:
        reasons = blocked.get(technique.name)
        if technique.name not in on and not (reasons and reasons.reason):
            yield _with(technique, recipe.model_copy(update={"place": best}))


def _with(technique: TechniqueInfo, recipe: Recipe) -> tuple[str, Recipe]:
    """The recipe with one more step, all at its defaults, where it belongs among the others."""
    (step,) = Recipe.parse(steps=[{"do": technique.name}]).steps
    at = next((at for at, each in enumerate(recipe.steps) if each.do in technique.later), len(recipe.steps))
    epochs = step.training_epochs()
    trains = f", trains for {epochs} epoch{'s' if epochs != 1 else ''}" if epochs else ""
    steps = (*recipe.steps[:at], step, *recipe.steps[at:])
    return f"{technique.title} {step.now()}{trains}", recipe.model_copy(update={"steps": steps})


def _placed(recipe: Recipe, catalog: Catalog) -> Recipe:
    """With the engine that "auto" stands for here, which is what stored runs name."""
    if recipe.place.engine != "auto":
        return recipe
    engines = {each.name: each for each in catalog.engines}
    able = (
        name
        for name in catalog.preferred
        if name in engines and engines[name].refuses.get(recipe.place.device, {}).keys().isdisjoint(recipe.precisions)
    )
    place = recipe.place.model_copy(update={"engine": next(able, "auto")})
    return recipe.model_copy(update={"place": place})


def _gain(run: Result) -> str:
    if run.few_calls or not fmt.decided(run.speedup, 1):
        return ""
    return f"{fmt.times(run.speedup.value)} than {run.baseline.engine} in an earlier run"


def _is_read(run: Result) -> bool:
    try:
        Recipe.parse(run.recipe)
    except RecipeError:
        return False  # it was made by another version
    return True
