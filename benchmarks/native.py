"""``make bench-native``: the native engine beside what people use instead, interleaved in one process.

``python -m benchmarks.native [model …] [--peers eager onnxruntime …] [--seconds N] [--threads N]``
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.native_models import MODELS, make
from workbench import engines, kernels
from workbench.engines import Runner
from workbench.errors import WorkbenchError
from workbench.measure.intervals import block_bootstrap
from workbench.receipt import Interval
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Data

PEERS = ("eager", "compiled", "onnxruntime", "openvino")
SETTLE_S = 0.002  # pools of the engine before go on spinning for about a millisecond
VISIT_S = 0.004
OUT = Path(__file__).parent / "out" / "native.json"


@dataclass(frozen=True)
class Row:
    """One engine on one case. ``ratio``: its time over that of the native engine's faster precision."""

    model: str
    batch: int
    engine: str
    precision: str
    median_ms: float
    error: float
    ratio: Interval


def prepare(model: torch.nn.Module, inputs: torch.Tensor, batch: int, names: list[str], threads: int) -> dict:
    """Runners by (engine, precision); engines that can't run a case are told on the way and left out."""
    plain = Variant(model)
    int8 = Quantize().apply(plain, Context(train=Data(inputs, torch.zeros(len(inputs), dtype=torch.long))))
    runners: dict[tuple[str, str], Runner] = {}
    for name in names:
        engine = engines.find(name)
        for variant in (plain, int8):
            if name == "eager" and variant is int8:
                continue  # it imitates int8
            try:
                runners[name, variant.precision] = engine.prepare(variant, inputs[:batch], threads=threads)
            except WorkbenchError as error:
                print(f"  {name} {variant.precision}: {error}")
    return runners


def visit(call: Callable[[], object]) -> float:
    """Median seconds of a call over a few milliseconds, once what ran before has settled."""
    begin = time.perf_counter()
    while time.perf_counter() - begin < SETTLE_S:
        call()
    samples: list[float] = []
    begin = time.perf_counter()
    while len(samples) < 3 or time.perf_counter() - begin < VISIT_S:
        start = time.perf_counter()
        call()
        samples.append(time.perf_counter() - start)
    return statistics.median(samples)


def measure(runners: dict, inputs: torch.Tensor, seconds: float) -> dict[tuple[str, str], list[float]]:
    """Seconds by runner, one figure for each round; every round visits all, in an order of its own."""
    times: dict[tuple[str, str], list[float]] = {key: [] for key in runners}
    order, coin, end = list(runners), random.Random(0), time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[order[0]]) < 6:
        coin.shuffle(order)
        for key in order:
            times[key].append(visit(lambda runner=runners[key]: runner(inputs)))
    return times


def rows(name: str, batch: int, peers: list[str], seconds: float, threads: int) -> list[Row]:
    """Measure one model at one batch size."""
    model, inputs = make(name)
    runners = prepare(model, inputs, batch, ["native", *peers], threads)
    inputs = inputs[:batch].contiguous()
    with torch.inference_mode():
        wanted = model(inputs)
        times = measure(runners, inputs, seconds)
        errors = {key: float((runner(inputs) - wanted).norm() / wanted.norm()) for key, runner in runners.items()}
    ours = min((key for key in times if key[0] == "native"), key=lambda key: statistics.median(times[key]))
    found = []
    for (engine, precision), seconds_each in times.items():
        logs = [math.log(theirs / mine) for theirs, mine in zip(seconds_each, times[ours], strict=True)]
        median_ms = statistics.median(seconds_each) * 1e3
        error = errors[engine, precision]
        found.append(Row(name, batch, engine, precision, median_ms, error, block_bootstrap(logs)))
    for runner in runners.values():
        runner.close()
    return found


def show(case: list[Row]) -> None:
    """Print one case, fastest first."""
    print(f"\n{case[0].model}, batch {case[0].batch}")
    for row in sorted(case, key=lambda row: row.median_ms):
        ratio = f"{row.ratio.value:6.2f}×  ({row.ratio.low:.2f}–{row.ratio.high:.2f})"
        print(f"  {row.engine:12} {row.precision:12} {row.median_ms:9.4f} ms  {ratio:24} error {row.error:.1e}")


def summary(all_rows: list[Row]) -> str:
    """How much faster native is than the fastest peer, by case and as a geometric mean."""
    cases = sorted(
        {(row.model, row.batch) for row in all_rows}, key=lambda case: (list(MODELS).index(case[0]), case[1])
    )
    best = {}
    for case in cases:
        theirs = [row for row in all_rows if (row.model, row.batch) == case and row.engine != "native"]
        if theirs:
            best[case] = min(row.ratio.value for row in theirs)
    if not best:
        return "no peer was measured"
    lines = [f"  {model:10} {batch:3}  {ratio:5.2f}×" for (model, batch), ratio in best.items()]
    mean = math.exp(statistics.fmean(math.log(ratio) for ratio in best.values()))
    return "\n".join(["\nnative against the fastest peer", *lines, f"  geometric mean  {mean:5.2f}×"])


def main() -> None:
    """Measure, print a table, and keep it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=list(MODELS))
    parser.add_argument("--peers", nargs="*", default=list(PEERS))
    parser.add_argument("--seconds", type=float, default=6.0, help="of measuring for each case")
    parser.add_argument("--threads", type=int, default=kernels.usable_cpus())
    options = parser.parse_args()
    peers = [name for name in options.peers if engines.find(name).unavailable() is None]
    found: list[Row] = []
    for name in options.models:
        for batch in MODELS[name][2]:
            case = rows(name, batch, peers, options.seconds, options.threads)
            show(case)
            found += case
    print(summary(found))
    OUT.parent.mkdir(exist_ok=True)
    document = {"isa": kernels.chosen_isa(), "threads": options.threads}
    document["rows"] = [{**asdict(row), "ratio": row.ratio.model_dump()} for row in found]
    OUT.write_text(json.dumps(document, indent=1))
    print(f"\nwritten to {OUT}")


if __name__ == "__main__":
    main()
