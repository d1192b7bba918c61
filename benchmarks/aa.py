"""Is the interval honest? Compares a model with itself many times and counts how often the interval contains 1.

    python benchmarks/aa.py --runs 100 --seconds 1 --json aa.json

A 95 % interval should contain 1 in about 95 of 100 such runs; the aim is at least 93.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
from pathlib import Path

import torch
from torch import nn

from benchmarks._report import Row
from workbench.core import offer
from workbench.engines import find
from workbench.machine import identity
from workbench.machine.affinity import core_of_its_own
from workbench.measure import latency
from workbench.measure.intervals import difference_in_words, wilson
from workbench.measure.warmup import warm_up
from workbench.receipt import Interval
from workbench.variant import Variant


def fashion_cnn_shape() -> nn.Module:
    """The architecture that `fashion-cnn` has; its weights don't matter to its speed."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    ).eval()


def compare_once(seed: int, seconds: float, batch: int, threads: int, target: float) -> latency.LatencySnapshot:
    """One A/A comparison: the same model prepared twice, as a run would prepare it."""
    torch.manual_seed(seed)
    model, example = fashion_cnn_shape(), torch.randn(batch, 1, 28, 28)
    eager = find("eager")
    first, second = (eager.prepare(Variant(copy.deepcopy(model)), example, threads=threads) for _ in range(2))
    sides = (lambda: first(example), lambda: second(example))
    steady = tuple(warm_up(side, budget_s=0.3).steady for side in sides)
    with core_of_its_own():
        *_, last = latency.compare(*sides, seed=seed, budget_s=seconds, target=target, steady=steady)
    return last


def measure(runs: int = 100, seconds: float = 1.0) -> list[Row]:
    """How many of ``runs`` comparisons of a model with itself have an interval that contains 1."""
    last = [compare_once(seed, seconds, 1, identity.usable_threads(), 0.02) for seed in range(runs)]
    inside = sum(contains_one(snapshot.speedup) for snapshot in last)
    widths = [snapshot.speedup.half_width for snapshot in last]
    measured = f"{inside}, ±{statistics.median(widths):.1%} (median)"
    what = f"A/A runs whose 95 % interval contains 1, of {runs}"
    return [Row(what, "≥ 93 of 100", measured, inside >= 0.93 * runs, {"half_widths": widths})]


def contains_one(interval: Interval) -> bool:
    return interval.low <= 1 <= interval.high


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=int, default=100)
    options.add_argument("--seconds", type=float, default=1.0, help="budget of each comparison")
    options.add_argument("--batch", type=int, default=1)
    options.add_argument("--threads", type=int, default=identity.usable_threads())
    options.add_argument("--target", type=float, default=0.02, help="relative half width at which one ends early")
    options.add_argument("--json", type=Path, help="where to write the figures")
    chosen = options.parse_args()
    runs = []
    for seed in range(chosen.runs):
        last = compare_once(seed, chosen.seconds, chosen.batch, chosen.threads, chosen.target)
        runs.append(last)
        if not contains_one(last.speedup):
            low, high = last.speedup.low, last.speedup.high
            print(f"run {seed:>3}  {difference_in_words(last.speedup)}  [{low:.4f}, {high:.4f}]  {last.blocks} blocks")
    inside = sum(contains_one(run.speedup) for run in runs)
    share = wilson(inside, len(runs))
    half_width = statistics.median(run.speedup.half_width for run in runs)
    figures = {
        "runs": len(runs),
        "contain_one": inside,
        "share": share.model_dump(),
        "half_width_median": half_width,
        "baseline_p50_ms": statistics.median(run.baseline.p50 for run in runs),
        "seconds_median": statistics.median(run.elapsed_s for run in runs),
        "blocks_median": statistics.median(run.blocks for run in runs),
        "options": {"seconds": chosen.seconds, "batch": chosen.batch, "target": chosen.target},
        "environment": identity.environment(chosen.threads, 0, offer.libraries()),
    }
    print(f"{'A/A runs whose 95 % interval contains 1':<42} {inside} of {len(runs)}   aim ≥ 93 of 100")
    print(f"{'median half width of the interval':<42} ±{half_width:.2%}")
    print(f"{'median latency (batch ' + str(chosen.batch) + ')':<42} {figures['baseline_p50_ms']:.3f} ms")
    print(f"{'median length, blocks':<42} {figures['seconds_median']:.2f} s, {figures['blocks_median']:.0f}")
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
