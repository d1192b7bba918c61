"""Automatic mixed precision beside int8 in all layers, and beside what estimates alone would give: ``[model …]``.

Both are judged anew, on the whole test set and with the two models in turn in one process: losses are paired and speeds
ratios, each beside int8 in all layers, so that an interval that excludes 0 or 1 tells a difference.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial

import torch

import workbench as wb
from benchmarks._interleave import interleaved, ratio
from benchmarks._report import spread, those_here
from workbench import models
from workbench.engines import Runner
from workbench.measure import quality
from workbench.mixtures import Candidate, Mixture
from workbench.receipt import Interval
from workbench.recipe import Recipe
from workbench.workload import LoadedWorkload, Workload

MODELS = ("fashion-resnet8", "cifar-resnet20")
BUDGETS = (0.005, 0.0005)
SEARCHED_S, TIMED_S = 300.0, 10.0


def recipe(found: Mixture, candidate: Candidate) -> Recipe:
    """What runs this candidate."""
    step = {"do": "quantize", "scheme": found.reference, "overrides": candidate.schemes}
    steps = [] if set(candidate.schemes.values()) == {"fp32"} else [step]
    return Recipe.parse(steps=steps, place=Recipe.parse(found.recipe).place)


def chosen(found: Mixture) -> Iterator[tuple[str, Candidate]]:
    """What is told of, by name: the estimate is that of int8 where int8 in all layers is what they give."""
    yield f"{found.reference} in all layers", found.plain
    yield "by estimates alone", next((each for each in found.candidates if each.origin == "estimated"), found.plain)
    yield "measured and mended", found.chosen


def lost(plain: Runner, runner: Runner, workload: LoadedWorkload) -> Interval:
    """The loss on the test set beside ``plain``."""
    metric = workload.task.metric
    *_, last = quality.evaluate(quality.Judged(plain, workload.test, metric), runner, workload.test, metric)
    return last.loss


def main() -> None:
    """Print a row for each model, budget and way to choose."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=MODELS, metavar="model")
    print("| model | budget | layers' schemes | loss: estimated | measured | on the test set beside int8 |", end="")
    print(" speed beside int8: estimated | measured |\n|" + "---|" * 8)
    for name in those_here(parser.parse_args().models):
        workload = models.load(Workload(name))
        scale, example = 100 if workload.task.metric.unit == "share" else 1, workload.example(1)
        for budget in BUDGETS:
            found = wb.mixed_precision(name, budget, seconds=SEARCHED_S)
            runners = {how: wb.prepare(name, recipe=recipe(found, each)) for how, each in chosen(found)}
            times = interleaved({how: partial(each, *example) for how, each in runners.items()}, TIMED_S)
            plain = next(iter(runners))
            for how, each in chosen(found):
                cells = (
                    f"`{name}`",
                    f"{scale * budget:g}",
                    how,
                    f"{scale * each.estimated_loss:.3g}",
                    spread(each.loss, scale) if each.loss else each.reason,
                    "" if how == plain else spread(lost(runners[plain], runners[how], workload), scale),
                    f"{each.estimated_speedup:.2f}",
                    "" if how == plain else spread(ratio(times[plain], times[how])),
                )
                print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
