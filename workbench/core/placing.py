"""On the way to an engine: which one a recipe runs on, whether it is there, and what it means where it fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from workbench import engines
from workbench.engines import Engine
from workbench.errors import Cancelled, EngineError, WorkbenchError
from workbench.machine import devices
from workbench.machine.limits import require_threads, usable_threads
from workbench.plumbing.words import one_line
from workbench.recipe import Place, Recipe


def require_place(place: Place) -> None:
    """Raise :class:`WorkbenchError` where this machine hasn't the device or the threads."""
    devices.require(place.device)
    require_threads(place.threads)


def completions(recipe: Recipe) -> list[Recipe]:
    """The recipe with threads filled in, once for each engine that its engine may stand for ("auto": several)."""
    place = recipe.place
    names = engines.preferred(recipe.precisions, place.device) if place.engine == "auto" else (place.engine,)
    threads = place.threads or usable_threads()
    places = [place.model_copy(update={"engine": name, "threads": threads}) for name in names]
    return [recipe.model_copy(update={"place": complete}) for complete in places]


def require_engine(recipe: Recipe) -> Engine:
    """The engine of a complete recipe; :class:`EngineError` where it isn't there or can't run its precisions there."""
    engine = engines.find(recipe.place.engine)
    if reason := engine.why_not(recipe.precisions, recipe.place.device):
        raise EngineError(reason)
    return engine


@contextmanager
def failures_of(engine: Engine) -> Iterator[None]:
    """Whatever goes wrong in here means that ``engine`` can't run this model: an :class:`EngineError`, in one line."""
    try:
        yield
    except (Cancelled, WorkbenchError):
        raise
    except Exception as error:  # engines and the libraries behind them fail on models in as many ways as there are
        raise EngineError(f"{engine.title} fails on this model: {type(error).__name__}: {one_line(error)}") from error
