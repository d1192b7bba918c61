"""Is the interval honest beside other programs? Compares beside a core that another process takes off and on.

    python -m benchmarks.load --runs 100
    python -m benchmarks.load --runs 100 --processes    # a new process for each, looked at again as on a page

A 95 % interval should contain the quiet machine's ratio in at least 90 of 100 such comparisons, and none should take
more than 10 seconds. The quiet machine's ratio is the median of the eight quiet comparisons nearest in time, since it
wanders by a per cent or two from one moment to the next; how often those contain what their own neighbours tell is told
too. Comparisons that no load fell into are made again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial

import psutil

from benchmarks._report import Row, table, write
from workbench import models
from workbench.core.measurement import PATIENCE, comparison_seconds
from workbench.core.shelf import Shelf, plain
from workbench.machine import identity
from workbench.machine.affinity import core_of_its_own
from workbench.measure import latency
from workbench.measure.pace import Pace
from workbench.receipt import Interval
from workbench.recipe import Recipe
from workbench.techniques import Context
from workbench.workload import Workload

_WORKLOAD = "fashion-cnn"
_RECIPES = {
    "int8 on native": {"steps": [{"do": "quantize"}], "place": {"engine": "native"}},
    "fp32 on onnxruntime": {"place": {"engine": "onnxruntime"}},
}
"""One that a busy core hardly moves, and one that it makes faster while it slows the baseline."""

_LONGEST_LOAD_S = 30
_FELL_INTO_S = 0.05
_MOST_TRIES = 8
_NEIGHBOURS = 8
_IDLE_S = 3

_TAKES_A_CORE = """
import os, random, sys, time
coin, owner, end = random.Random(int(sys.argv[1])), os.getppid(), time.monotonic() + float(sys.argv[2])
busy = coin.random() < 0.5
until = time.monotonic()
while time.monotonic() < end and os.getppid() == owner:
    if time.monotonic() >= until:
        until, busy = time.monotonic() + 10 ** coin.uniform(-1, 1), not busy
    if busy:
        sum(range(10_000))
    else:
        time.sleep(0.005)
"""
"""A core off and on for 0.1 to 10 s, each length as likely as one of ten times as much; ends with its owner."""


@dataclass(frozen=True)
class Pair:
    """Baseline and variant, ready to be called, and how fast they were known to be."""

    calls: tuple[Callable[[], object], Callable[[], object]]
    paces: tuple[Pace, Pace]


@dataclass(frozen=True)
class Compared:
    """One comparison. ``took_ms`` of each side; ``load_s``: processor seconds that the load used meanwhile."""

    speedup: Interval
    took_ms: tuple[float, float]
    seconds: float
    settled: bool
    load_s: float

    def contains(self, ratio: float) -> bool:
        return self.speedup.low <= ratio <= self.speedup.high


Comparing = Callable[[int, bool], Compared]
"""Make the comparison of this number, beside a load or not."""


@contextlib.contextmanager
def load(seed: int) -> Iterator[psutil.Process]:
    """A process that takes a core at random, for half a minute at most and never after the end of the block."""
    program = subprocess.Popen([sys.executable, "-c", _TAKES_A_CORE, str(seed), str(_LONGEST_LOAD_S)])
    try:
        yield psutil.Process(program.pid)
    finally:
        program.kill()
        program.wait()


def measure(runs: int = 40, *, processes: bool = False) -> list[Row]:
    """How many of ``runs`` comparisons beside a load contain what the quiet ones around them tell.

    With ``processes`` each is made in a process of its own.
    """
    quiet, beside = [], []
    for name in _RECIPES:
        comparing = partial(_elsewhere, name) if processes else partial(_compared_beside, _pair(name))
        still, loaded = _by_turns(comparing, runs // len(_RECIPES))
        quiet += [(each, _ratio(still[:i] + still[i + 1 :], i)) for i, each in enumerate(still)]
        beside += [(each, _ratio(still, i + 1)) for i, each in enumerate(loaded)]
    inside = sum(compared.contains(ratio) for compared, ratio in beside)
    width = statistics.median(compared.speedup.half_width for compared, _ in quiet)
    wider = statistics.median(compared.speedup.half_width for compared, _ in beside)
    longest = max(compared.seconds for compared, _ in beside)
    detail = {name: [_row(*each) for each in told] for name, told in (("quiet", quiet), ("beside", beside))}
    detail["quiet_contain"] = sum(compared.contains(ratio) for compared, ratio in quiet)
    what = f"comparisons beside a core taken off and on whose 95 % interval contains the quiet ratio, of {len(beside)}"
    return [
        Row(what, "≥ 90 of 100", f"{inside}, ±{wider:.1%} (median)", inside >= 0.9 * len(beside), detail),
        Row("half width of the interval on the quiet machine (median)", "≤ 2 %", f"{width:.1%}", width <= 0.02, {}),
        Row("longest comparison beside a core taken off and on", "≤ 10 s", f"{longest:.1f} s", longest <= 10, {}),
    ]


def _row(compared: Compared, ratio: float) -> dict:
    return {**asdict(compared), "speedup": compared.speedup.model_dump(), "ratio": ratio}


def _pair(name: str) -> Pair:
    """The recipe of that name and plain eager."""
    workload, shelf = models.load(Workload(_WORKLOAD)), Shelf(10**9)
    context, example = Context(train=workload.train), workload.example(1)
    recipe = _RECIPES[name]
    place = {**recipe["place"], "threads": identity.usable_threads(), "batch": 1}
    chosen = Recipe.parse(steps=recipe.get("steps", []), place=place)
    sides = [shelf.prepared(workload, each, context) for each in (plain(chosen.place, "eager"), chosen)]
    calls = tuple(lambda runner=side.runner: runner(*example) for side in sides)
    return Pair(calls, tuple(side.pace for side in sides))


def _by_turns(comparing: Comparing, count: int) -> tuple[list[Compared], list[Compared]]:
    """A quiet comparison before each beside a load, and a last one."""
    quiet, beside = [], []
    for number in range(count):
        quiet.append(comparing(number, False))
        beside.append(comparing(number, True))
    quiet.append(comparing(count, False))
    return quiet, beside


def _elsewhere(name: str, number: int, loaded: bool) -> Compared:
    """In a new process."""
    task = json.dumps([name, number, loaded])
    done = subprocess.run([sys.executable, "-m", "benchmarks.load", "--one", task], stdout=subprocess.PIPE, check=True)
    told = json.loads(done.stdout)
    return Compared(**told | {"speedup": Interval(**told["speedup"])})


def _compared_beside(pair: Pair, number: int, loaded: bool, *, look_again: bool = False) -> Compared:
    """A load, if there is to be one, falls into it: it begins at a random moment, and again where it didn't."""
    if not loaded:
        compared = _compared(pair, number)
        return _looked_at_again(pair, number, compared) if look_again else compared
    for attempt in range(_MOST_TRIES):
        seed = _MOST_TRIES * number + attempt
        with load(seed) as process:
            time.sleep(random.Random(seed).uniform(0.2, 2))
            compared = _compared(pair, number, process)
            if compared.load_s > _FELL_INTO_S:
                return _looked_at_again(pair, number, compared, process) if look_again else compared
    raise RuntimeError(f"the load used no processor time in {_MOST_TRIES} comparisons; is there a core for it?")


def _compared(pair: Pair, seed: int, beside: psutil.Process | None = None) -> Compared:
    before = _used_s(beside)
    with core_of_its_own(*pair.calls):
        *_, last = latency.compare(
            *pair.calls,
            seed=seed,
            budget_s=comparison_seconds(),
            patience_s=comparison_seconds() * PATIENCE,
            paces=pair.paces,
        )
    took_ms = last.baseline.p50, last.variant.p50
    return Compared(last.speedup, took_ms, last.elapsed_s, last.settled, _used_s(beside) - before)


def _looked_at_again(pair: Pair, number: int, compared: Compared, beside: psutil.Process | None = None) -> Compared:
    """Compared anew where a side turns out, some seconds later, to be faster than it was in the first comparison."""
    time.sleep(_IDLE_S)
    with core_of_its_own(*pair.calls):
        slow = latency.is_faster_now(*pair.calls, compared.took_ms, pair.paces)
    return _compared(pair, number, beside) if slow else compared


def _used_s(process: psutil.Process | None) -> float:
    if process is None:
        return 0.0
    times = process.cpu_times()
    return times.user + times.system


def _ratio(quiet: list[Compared], at: int) -> float:
    """The quiet machine's, from as many comparisons before as after place ``at`` in their order, where there are."""
    first = min(max(at - _NEIGHBOURS // 2, 0), max(len(quiet) - _NEIGHBOURS, 0))
    return statistics.median(compared.speedup.value for compared in quiet[first : first + _NEIGHBOURS])


def main() -> None:
    """Measure, print and keep the rows."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=int, default=100)
    options.add_argument("--processes", action="store_true", help="a new process for each comparison")
    options.add_argument("--one", metavar="JSON", help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.one:
        name, number, loaded = json.loads(asked.one)
        compared = _compared_beside(_pair(name), number, loaded, look_again=True)
        print(json.dumps({**asdict(compared), "speedup": compared.speedup.model_dump()}))
        return
    rows = measure(asked.runs, processes=asked.processes)
    quiet = rows[0].detail["quiet"]
    print(table(rows))
    print(f"\nof {len(quiet)} quiet ones {rows[0].detail['quiet_contain']} contain what their neighbours tell")
    print(f"written to {write('load', rows)}")


if __name__ == "__main__":
    main()
