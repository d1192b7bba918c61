"""What a variant is compared with: the strongest plain fp32, without ever waiting for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from workbench import engines
from workbench.core.shelf import Prepared, Shelf, plain
from workbench.engines import compiled
from workbench.errors import EngineError
from workbench.machine import turn
from workbench.machine.affinity import core_of_its_own
from workbench.measure import latency
from workbench.recipe import Place, Recipe
from workbench.store import data_directory
from workbench.techniques import Context
from workbench.workload import LoadedWorkload

_CHOICE_SECONDS = 0.3


class Baselines:
    """Eager and compiled fp32, whichever is faster; eager alone until compiled has been built.

    The build runs in a process of its own at low priority. It is paused while anything is measured.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._faster: dict[tuple, str] = {}
        self._building: tuple[tuple, compiled.Build] | None = None
        self._failed: dict[tuple, str] = {}

    def strongest(self, workload: LoadedWorkload, place: Place, chosen: str, context: Context) -> Prepared:
        """The baseline for runs placed like ``place``: ``chosen``, or with "auto" the faster of the two by now."""
        engine = chosen
        if chosen == "auto":
            engine = self._faster.get(_key(workload, place), "eager")
        return self._shelf.prepared(workload, plain(place, engine), context)

    def stands_in(self, workload: LoadedWorkload, place: Place, chosen: str) -> bool:
        """Whether eager is the baseline only because compiled, which may be faster, isn't ready yet."""
        key = _key(workload, place)
        pending = key not in self._faster and key not in self._failed
        return chosen == "auto" and pending and not _why_not_compiled(place)

    def notice(self, workload: LoadedWorkload, place: Place, chosen: str) -> str | None:
        """What the page says about the baseline while it isn't the final one."""
        if self.stands_in(workload, place, chosen):
            return "eager stands in for the baseline until compiled is ready"
        failure = self._failed.get(_key(workload, place)) if chosen == "auto" else None
        return f"compiled fp32 couldn't be built ({failure}); eager is the baseline" if failure else None

    def improve(
        self, workload: LoadedWorkload, place: Place, context: Context, wait: Callable[[], None]
    ) -> Iterator[tuple[str, bool]]:
        """Build compiled fp32 and choose the faster; yields, once, words for it and whether the baseline changed.

        ``wait`` is called between looks at the build and raises ``Cancelled`` when a real run comes.
        """
        key = _key(workload, place)
        if key in self._faster or key in self._failed or _why_not_compiled(place):
            return
        try:
            self._build(key, workload, place, wait)
            candidate = self._shelf.prepared(workload, plain(place, "compiled"), context)
        except EngineError as error:
            self._failed[key] = str(error)
            yield f"compiled fp32 couldn't be built ({error}); eager stays the baseline", False
            return
        eager = self._shelf.prepared(workload, plain(place, "eager"), context)
        self._faster[key] = self._choose(workload, place, eager, candidate, context)
        yield f"compiled fp32 is ready; {self._faster[key]} is the faster baseline", self._faster[key] == "compiled"

    def pause(self) -> None:
        """Stop the build where it is: something is measured, or asked for."""
        if self._building:
            self._building[1].pause()

    def resume(self) -> None:
        """Go on with it."""
        if self._building:
            self._building[1].resume()

    def _build(self, key: tuple, workload: LoadedWorkload, place: Place, wait: Callable[[], None]) -> None:
        """Wait until the package is on disk. A build for another placement is given up."""
        variant = self._shelf.variant(workload, Recipe(place=place), Context(train=workload.train))
        arguments = variant, workload.example(place.batch), place.threads
        if compiled.is_cached(*arguments):
            return
        if self._building and self._building[0] != key:
            self._building[1].kill()
        build = compiled.build_in_background(*arguments)  # joins the one that was paused, if it is the same
        self._building = (key, build)
        build.resume()
        while not build.poll():
            wait()
        self._building = None

    def _choose(
        self, workload: LoadedWorkload, place: Place, eager: Prepared, candidate: Prepared, context: Context
    ) -> str:
        example = workload.example(place.batch)
        calls = [lambda runner=side.runner: runner(example) for side in (eager, candidate)]
        with turn.measuring(data_directory(), waiting=context.checkpoint), core_of_its_own(*calls):
            *_, last = latency.compare(*calls, budget_s=_CHOICE_SECONDS, checkpoint=context.checkpoint)
        return "compiled" if last.speedup.value > 1 else "eager"


def _why_not_compiled(place: Place) -> str | None:
    engine = engines.find("compiled")
    return engine.unavailable() or engine.refuses("fp32", place.device)


def _key(workload: LoadedWorkload, place: Place) -> tuple:
    return (workload.key, place.device, place.threads, place.batch)
