"""What a variant is compared with: the strongest plain fp32, without ever waiting for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from workbench import engines
from workbench.core.shelf import Prepared, Shelf, plain
from workbench.engines import Build, Engine
from workbench.errors import EngineError
from workbench.machine import turn
from workbench.machine.affinity import core_of_its_own
from workbench.measure import latency
from workbench.recipe import Place, Recipe
from workbench.store import data_directory
from workbench.techniques import Context
from workbench.workload import Inputs, LoadedWorkload

_CHOICE_SECONDS = 0.3


class Baselines:
    """The fastest of the engines that may be a baseline; the reference alone until the others have been built.

    Builds run in processes of their own at low priority. They are paused while anything is measured.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._fastest: dict[tuple, str] = {}
        self._building: tuple[tuple, Build] | None = None
        self._failed: dict[tuple, dict[str, str]] = {}

    def strongest(self, workload: LoadedWorkload, place: Place, chosen: str, context: Context) -> Prepared:
        """The baseline for runs placed like ``place``: ``chosen``, or with "auto" the fastest by now."""
        engine = chosen
        if chosen == "auto":
            engine = self._fastest.get(_key(workload, place), engines.reference().name)
        return self._shelf.prepared(workload, plain(place, engine), context)

    def awaited(self, workload: LoadedWorkload, place: Place, chosen: str) -> str:
        """The engines, in words, that may be faster and aren't ready yet, so that the reference stands in for them."""
        if chosen != "auto" or _key(workload, place) in self._fastest:
            return ""
        return _in_words(engine.name for engine in _others(place))

    def notice(self, workload: LoadedWorkload, place: Place, chosen: str) -> str | None:
        """What the page says about the baseline while it isn't the final one."""
        if awaited := self.awaited(workload, place, chosen):
            return f"{engines.reference().name} stands in for the baseline until {awaited} is ready"
        failed = self._failed.get(_key(workload, place), {}) if chosen == "auto" else {}
        told = [f"{name} fp32 couldn't be built ({reason})" for name, reason in failed.items()]
        return f"{'; '.join(told)}; {self._fastest[_key(workload, place)]} is the baseline" if told else None

    def improve(
        self, workload: LoadedWorkload, place: Place, context: Context, wait: Callable[[], None]
    ) -> Iterator[tuple[str, bool]]:
        """Build the others and choose the fastest; yields words for what came of it and whether the baseline changed.

        ``wait`` is called between looks at a build and raises ``Cancelled`` when a real run comes.
        """
        key, others = _key(workload, place), _others(place)
        if key in self._fastest or not others:
            return
        reference = fastest = engines.reference().name
        ready, failed = [], {}
        for engine in others:
            try:
                self._build(key, engine, workload, place, wait)
                candidate = self._shelf.prepared(workload, plain(place, engine.name), context)
            except EngineError as error:
                failed[engine.name] = str(error)
                continue
            ready.append(engine.name)
            so_far = self._shelf.prepared(workload, plain(place, fastest), context)
            if self._is_faster(candidate, so_far, workload.example(place.batch), context):
                fastest = engine.name
        self._fastest[key], self._failed[key] = fastest, failed
        for name, reason in failed.items():
            yield f"{name} fp32 couldn't be built ({reason}); {fastest} stays the baseline", False
        if ready:
            yield f"{_in_words(ready)} fp32 is ready; {fastest} is the faster baseline", fastest != reference

    def pause(self) -> None:
        """Stop the build where it is: something is measured, or asked for."""
        if self._building:
            self._building[1].pause()

    def resume(self) -> None:
        """Go on with it."""
        if self._building:
            self._building[1].resume()

    def _build(
        self, key: tuple, engine: Engine, workload: LoadedWorkload, place: Place, wait: Callable[[], None]
    ) -> None:
        """Wait until what the engine prepares from is on disk. A build for another placement is given up."""
        variant = self._shelf.variant(workload, Recipe(place=place), Context.of(workload))
        build = engine.build(variant, workload.example(place.batch), place.threads)  # joins the one that was paused
        if build is None:
            return
        if self._building and self._building[0] != (*key, engine.name):
            self._building[1].kill()
        self._building = ((*key, engine.name), build)
        build.resume()
        while not build.poll():
            wait()
        self._building = None

    @staticmethod
    def _is_faster(candidate: Prepared, than: Prepared, example: Inputs, context: Context) -> bool:
        calls = [lambda runner=side.runner: runner(*example) for side in (than, candidate)]
        with turn.measuring(data_directory(), waiting=context.checkpoint), core_of_its_own(*calls):
            *_, last = latency.compare(*calls, budget_s=_CHOICE_SECONDS, checkpoint=context.checkpoint)
        return last.speedup.value > 1


def _in_words(names: Iterable[str]) -> str:
    return " and ".join(names)


def _others(place: Place) -> list[Engine]:
    """The engines that may be the baseline there, beside the reference."""
    mine = [engine for engine in engines.registered().values() if engine.is_baseline and not engine.is_reference]
    return [engine for engine in mine if engine.why_not("fp32", place.device) is None]


def _key(workload: LoadedWorkload, place: Place) -> tuple:
    return (workload.key, place.device, place.threads, place.batch)
