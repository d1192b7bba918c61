"""What each step of a recipe adds: its beginnings, measured one by one beside the same baseline."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from workbench.core.measurement import Measurement
from workbench.core.shelf import Shelf
from workbench.errors import Cancelled
from workbench.machine import turn
from workbench.plumbing.directory import data_directory
from workbench.plumbing.words import one_line
from workbench.receipt import Result
from workbench.recipe import Recipe
from workbench.techniques import Context

_RESULTS_KEPT = 256


@dataclass(frozen=True)
class Beginning:
    """The first ``steps`` steps of a recipe: what they came to, or ``None`` and the ``reason``."""

    steps: int
    result: Result | None
    reason: str = ""


class Ablations:
    """Measures beginnings of recipes, each once: the engine alone, then its first step, its first two and so on."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._known: OrderedDict[tuple[str, ...], Result] = OrderedDict()
        self._failed: dict[tuple[str, ...], str] = {}

    def keep(self, measurement: Measurement, result: Result) -> None:
        """A finished run is the beginning of longer ones."""
        self._known[_key(measurement, measurement.recipe)] = result
        if len(self._known) > _RESULTS_KEPT:
            self._known.popitem(last=False)

    def of(self, measurement: Measurement, context: Context) -> Iterator[Beginning]:
        """The beginnings of a measurement's recipe, those measured before and then those that have to be."""
        recipes = sorted(_beginnings(measurement), key=lambda recipe: _key(measurement, recipe) not in self._known)
        for recipe in recipes:
            result = self._known.get(_key(measurement, recipe)) or self._measured(measurement, recipe, context)
            reason = "" if result else self._failed[_key(measurement, recipe)]
            yield Beginning(len(recipe.steps), result, reason)

    def _measured(self, whole: Measurement, recipe: Recipe, context: Context) -> Result | None:
        """``None`` where it fails, which is reported in full when the person asks for it; it isn't tried again."""
        key = _key(whole, recipe)
        if key in self._failed:
            return None
        try:
            return self._measure(whole, recipe, context)
        except Cancelled:
            raise
        except Exception as error:  # any library may fail on a model that nobody asked it to take
            self._failed[key] = one_line(error)
            return None

    def _measure(self, whole: Measurement, recipe: Recipe, context: Context) -> Result:
        measurement = whole.of_beginning(recipe, self._shelf.prepared(whole.workload, recipe, context))
        with turn.measuring(data_directory(), waiting=context.checkpoint):
            for _ in measurement.events(0, context.checkpoint):
                pass
        result = measurement.result()
        self.keep(measurement, result)
        return result


def _beginnings(measurement: Measurement) -> Iterator[Recipe]:
    recipe = measurement.recipe
    for count in range(len(recipe.steps)):
        if count or recipe.place.engine != measurement.baseline_engine:
            yield recipe.model_copy(update={"steps": recipe.steps[:count]})


def _key(measurement: Measurement, recipe: Recipe) -> tuple[str, ...]:
    return measurement.workload.key, recipe.key(), measurement.baseline_engine
