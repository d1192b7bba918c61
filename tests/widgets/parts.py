"""A session driven by hand, and what it offers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from tests.results import a_result
from workbench import catalog, events
from workbench.core import offer
from workbench.examples import Confusion, Example, Examples, Shown
from workbench.layer import Histogram, LayerDetail, Numbers, Scales
from workbench.receipt import Interval, LayerState, Quality, Result
from workbench.recipe import Recipe
from workbench.sensitivities import Cell, Effect, Sensitivity
from workbench.workload import Workload


class HandDrivenSession:
    """A session whose worker is the test: it records what was submitted and says what it is told to."""

    def __init__(self) -> None:
        self.submitted: list[tuple[int, Workload, Recipe]] = []
        self.baselines: list[str] = []
        self.when_quiet: list[bool] = []
        self.train_up_to_s: list[float | None] = []
        self.cancelled_by: list[object] = []
        self.taken_by: list[object] = []
        self.refusal: Exception | None = None
        self.entries: list = []
        self.forgotten: list[int] = []
        self.asked: list[tuple[Workload, Recipe]] = []
        self.found: list[Examples | Exception] = []
        self.surveyed: list[list[Sensitivity] | Exception] = []
        self.layers_asked: list[str] = []
        self._numbers = itertools.count(1)
        self._subscribers: list[Callable] = []

    def submit(
        self,
        workload: Workload,
        recipe: Recipe,
        *,
        baseline: str = "auto",
        when_quiet: bool = False,
        train_up_to_s: float | None = None,
        owner: object = None,
    ) -> int:
        if self.refusal is not None:
            raise self.refusal
        number = next(self._numbers)
        self.submitted.append((number, workload, recipe))
        self.baselines.append(baseline)
        self.when_quiet.append(when_quiet)
        self.train_up_to_s.append(train_up_to_s)
        return number

    def cancel(self, number: int | None = None, *, owner: object = None) -> None:
        self.cancelled_by.append(owner)

    def take_best(self, number: int | None = None, *, owner: object = None) -> None:
        self.taken_by.append(owner)

    def subscribe(self, callback: Callable) -> Callable[[], None]:
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback) if callback in self._subscribers else None

    def on_ready(self, callback: Callable, given_up: Callable = lambda reason: None) -> None:
        callback(offered())

    def history(self, workload_id: str | None = None, limit: int = 200) -> list:
        return [entry for entry in self.entries if entry.result.workload_id == workload_id][:limit]

    def forget(self, entry: int) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.forgotten.append(entry)

    def examples(self, workload: Workload, recipe: Recipe) -> Examples:
        self.asked.append((workload, recipe))
        found = self.found.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def sensitivity(self, workload: Workload, recipe: Recipe) -> Iterator[Sensitivity]:
        self.asked.append((workload, recipe))
        found = self.surveyed.pop(0)
        if isinstance(found, Exception):
            raise found
        yield from found

    def layer(self, workload: Workload, recipe: Recipe, name: str) -> LayerDetail:
        self.layers_asked.append(name)
        if self.refusal is not None:
            raise self.refusal
        return a_layer_detail(name)

    def say(self, event: events.Event) -> None:
        for callback in list(self._subscribers):
            callback(event)

    @property
    def last(self) -> int:
        return self.submitted[-1][0]


ERROR = Quality(
    metric="mae", title="mean absolute error", unit="ppm", better="lower", value=0.4, low=0.38, high=0.42, n=2_000
)


def a_regression(*, before: float = 0.4, after: float = 0.4123, **details) -> Result:
    """A result that an error in ppm judges, known to a thousandth of it."""
    result, lost = a_result(**details), after - before
    sides = {
        name: getattr(result, name).model_copy(update={"quality": ERROR.model_copy(update={"value": value})})
        for name, value in (("baseline", before), ("variant", after))
    }
    loss = Interval(value=lost, low=lost - 0.001, high=lost + 0.001)
    return result.model_copy(update=sides | {"quality_loss": loss, "answers_changed": None})


def an_effect(loss: float, error: float = 0.1) -> Effect:
    """Known to half a percentage point."""
    return Effect(loss=Interval(value=loss, low=loss - 0.005, high=loss + 0.005), error=error, n=1_000)


def a_sensitivity(*, final: bool = True, **figures) -> Sensitivity:
    """Two layers in two schemes, of which the convolution has one alone; ``figures`` in place of its own."""
    no_form = "int4-weights quantizes linear layers only"
    cells = (
        Cell(layer="conv1", scheme="int8-static", own=0.004, only=an_effect(0.001, 0.01), all_but=an_effect(0.02)),
        Cell(layer="conv1", scheme="int4-weights", reason=no_form),
        Cell(layer="fc1", scheme="int8-static", own=0.01, only=an_effect(-0.02, 0.02), all_but=an_effect(0.001)),
        Cell(layer="fc1", scheme="int4-weights", own=0.2, only=an_effect(0.04, 0.2)),
    )
    told = {"metric": "accuracy", "title": "accuracy", "unit": "share", "better": "higher", "value": 0.92}
    size = {"layers": ("conv1", "fc1"), "schemes": ("int8-static", "int4-weights"), "examples": 1_000}
    return Sensitivity(**{**told, **size, "cells": cells, "done": 1.0 if final else 0.4, "final": final, **figures})


def found_examples(number: int = 490) -> Examples:
    """One image of a dress that became a shirt."""
    dress, shirt = Shown(text="Dress"), Shown(text="Shirt")
    image = Shown(picture="data:image/png;base64,iVBORw0KGgo=")
    example = Example(number=number, outcome="lost", inputs=(image,), target=dress, before=dress, after=shirt)
    return Examples(
        counted="answers",
        total=10_000,
        counts={"lost": 21, "won": 12, "other": 4},
        examples=(example,),
        seen=10_000,
        available=10_000,
        confusion=Confusion(classes=("Dress", "Shirt"), baseline=((9, 1), (2, 8)), variant=((8, 2), (1, 9))),
    )


def a_layer_detail(name: str) -> LayerDetail:
    """Four numbers before, of which int8 keeps three apart from zero and one as zero."""
    values = Histogram(low=-1.0, width=1.0, counts=(2, 2))
    before = Numbers(dtype="float32", shape=(4,), size_bytes=16, total=4, zeros=0, low=-1.0, high=1.0, values=values)
    levels = Histogram(low=-128, width=1, counts=tuple({1: 1, 128: 1, 200: 1, 255: 1}.get(n, 0) for n in range(256)))
    changes = {"dtype": "int8", "zeros": 1, "levels": levels, "scales": Scales(count=1, low=1 / 127, high=1 / 127)}
    return LayerDetail(layer=name, before=before, after=before.model_copy(update=changes))


def of_few_calls(result: Result) -> Result:
    few = result.variant.latency_ms.model_copy(update={"n": 11})
    return result.model_copy(update={"variant": result.variant.model_copy(update={"latency_ms": few})})


def normalised(result: Result) -> Result:
    """The same result with a normalisation before its layer, whose kernel the engine doesn't name."""
    (layer,) = result.receipt
    state = LayerState(dtype="float32", weight_shape=(16,), sparsity=0.0, weight_bytes=136)
    norm = layer.model_copy(
        update={"layer": "norm", "before": state, "after": state, "kernel": None, "reality": "unchanged"}
    )
    return result.model_copy(update={"receipt": (norm, layer)})


def offered() -> catalog.Catalog:
    return catalog.Catalog(
        workloads=(
            catalog.WorkloadInfo(name="fashion-cnn", description="10,000 images"),
            catalog.WorkloadInfo(name="fashion-mlp", description="10,000 images"),
        ),
        techniques=offer.technique_infos(),
        engines=(
            catalog.EngineInfo(name="eager", title="Eager", unavailable=None, refuses={}),
            catalog.EngineInfo(name="openvino", title="OpenVINO", unavailable="pip install openvino", refuses={}),
        ),
        devices=(catalog.DeviceInfo(name="cpu", title="CPU"),),
        preferred=("eager",),
        threads=2,
    )
