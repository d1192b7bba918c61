"""What each technique that trains, as it comes, does to the quality of each embedded workload, trained and not.

``python -m benchmarks.defaults`` prints a table; takes some minutes for each workload.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks._report import spread
from workbench import models, techniques
from workbench.errors import WorkbenchError
from workbench.measure import quality
from workbench.receipt import Interval
from workbench.techniques import Context, Technique
from workbench.techniques.prune import Prune
from workbench.variant import Variant
from workbench.workload import LoadedWorkload, Workload

_BATCH = 256


@dataclass(frozen=True)
class Effect:
    """By how much a technique makes a workload worse, in its metric's unit; ``won`` is what training wins back."""

    workload: str
    technique: str
    metric: str
    untouched: float
    untrained: Interval | None
    trained: Interval
    won: Interval | None
    seconds: float
    said: tuple[str, ...]


def as_they_come() -> list[Technique]:
    """Every technique that trains, and each choice of what decides about pruning."""
    defaults = [each() for each in techniques.registered().values()]
    return [*(each for each in defaults if each.training_epochs()), Prune(kind="weights")]


def measure(names: list[str]) -> Iterator[Effect]:
    """The effects on the embedded workloads called ``names``, on their test data."""
    for name in names:
        workload = models.load(Workload(name))
        for technique in as_they_come():
            try:
                yield _effect(workload, technique)
            except WorkbenchError as error:
                print(f"{name}: {technique.summary()}: {error}")


def _effect(workload: LoadedWorkload, technique: Technique) -> Effect:
    context, plain = Context.of(workload), Variant(workload.module)
    began = time.monotonic()
    trained = technique.apply(plain, context)
    seconds = time.monotonic() - began
    whole, at_once = _judged(workload, plain), _without_training(technique)
    untrained = at_once and at_once.apply(plain, context)
    lost = _loss(workload, whole, trained)
    return Effect(
        workload=workload.name,
        technique=technique.summary(),
        metric=workload.task.metric.title,
        untouched=_figure(workload, whole),
        untrained=_loss(workload, whole, untrained) if untrained else None,
        trained=lost,
        won=_loss(workload, _judged(workload, trained), untrained) if untrained else None,
        seconds=seconds,
        said=trained.notices,
    )


def _without_training(technique: Technique) -> Technique | None:
    """The same step without its epochs, where it does something without them."""
    schema = type(technique).model_json_schema()["properties"]
    (epochs,) = (name for name, field in schema.items() if field.get("trains"))
    return technique.model_copy(update={epochs: 0}) if schema[epochs].get("minimum") == 0 else None


def _judged(workload: LoadedWorkload, variant: Variant) -> quality.Judged:
    return quality.Judged(variant.module.eval(), workload.test, workload.task.metric)


def _loss(workload: LoadedWorkload, before: quality.Judged, after: Variant) -> Interval:
    *_, last = quality.evaluate(before, after.module.eval(), workload.test, workload.task.metric, batch=_BATCH)
    return last.loss


def _figure(workload: LoadedWorkload, judged: quality.Judged) -> float:
    return workload.task.metric.value(judged.terms.numpy())


def main() -> None:
    """Print the table, a row as soon as it is known."""
    print(
        "| model, figure | recipe | lost without training | lost | training wins | s | |",
        "|---|---|---|---|---|---|---|",
        sep="\n",
    )
    for each in measure(list(models.embedded())):
        scale = 100 if each.metric in ("accuracy", "mean IoU", "AUROC") else 1
        spreads = (spread(interval, scale) if interval else "" for interval in (each.untrained, each.trained, each.won))
        cells = (f"`{each.workload}`, {each.metric} {scale * each.untouched:.4g}", each.technique, *spreads)
        print("|", " | ".join(cells), f"| {each.seconds:.0f} | {'; '.join(each.said)} |", flush=True)


if __name__ == "__main__":
    main()
