"""``make bench-native``: the native engine beside what people use instead, interleaved in one process.

``python -m benchmarks.native [model …] [--peers eager …] [--seconds N] [--build-seconds N] [--threads N]``

For each case native's fastest precision is compared with the fastest peer *at equal accuracy*: one whose output is off
from float32's by no more than 1.1 times what native's is (relative error ‖y − y₃₂‖₂ / ‖y₃₂‖₂ over one batch). Peers
in fp32 and bf16 are more accurate than int8, so they always count against native's int8; an int8 peer counts unless
its own ranges make it clearly worse. The fastest peer of any accuracy is printed beside it.

Inductor compiles for some ten seconds each. What doesn't fit in ``--build-seconds`` is left out and said; what was
built is kept, so the next run goes on from there.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import torch

from benchmarks._interleave import interleaved, ratio
from benchmarks._native_facts import call_overhead, prepare_seconds
from benchmarks._native_report import Row, case_lines, summary
from benchmarks.native_models import MODELS, Example
from benchmarks.native_peers import PEERS, Call, Case, engine
from workbench import engines, kernels
from workbench.core import offer
from workbench.engines.compiled import Compiled, packages
from workbench.errors import EngineError
from workbench.machine import identity
from workbench.machine.limits import usable_threads
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Data

OUT = Path(__file__).parent / "out" / "native.json"
PRECISIONS = ("fp32", "bf16", "int8")


def quantized(example: Example) -> tuple[Variant, Variant]:
    """The model as it is, and after post-training quantization to int8."""
    plain = Variant(example.module)
    train = Data(example.inputs, torch.zeros(len(example.inputs), dtype=torch.long))
    return plain, Quantize().apply(plain, Context(train=train))


def native(case: Case) -> dict[tuple[str, str], Call]:
    """The native engine in every precision that it has."""
    asked = {precision: case.variant(precision).precision for precision in PRECISIONS}
    taken = [short for short, full in asked.items() if engines.find("native").refuses(full, "cpu") is None]
    return {("native", precision): engine(case, "native", precision) for precision in taken}


class Builds:
    """Inductor's packages, within a time for all of them together."""

    def __init__(self, seconds: float) -> None:
        self.left_s = seconds

    def make(self, case: Case, precisions: list[str]) -> set[tuple[str, str]]:
        """Build what isn't there yet; returns what there was no time for."""
        started, late = [], set()
        begin = time.perf_counter()
        for precision in precisions:
            wanted = case.variant(precision), (case.example,), case.threads
            if packages.cached_package(packages.package_target(*wanted)) is not None:
                continue
            if self.left_s <= 0:
                late.add(("inductor", precision))
            else:
                started.append(Compiled().build(*wanted))
        for build in started:
            while not build.wait(1.0):
                pass
        if started:
            self.left_s -= time.perf_counter() - begin
        return late


def prepared(case: Case, peers: list[tuple[str, str]], late: set[tuple[str, str]]) -> dict[tuple[str, str], Call]:
    """Native and the peers, by engine and precision; a peer that can't run the case is told and left out."""
    calls: dict[tuple[str, str], Call] = native(case)
    for key in peers:
        if key in late:
            print(f"  {' '.join(key)}: left out, there was no time left to build it")
            continue
        try:
            call = PEERS[key](case)
            call(case.example)
        except Exception as error:  # whatever went wrong in a peer, the others are measured
            print(f"  {' '.join(key)}: left out, {type(error).__name__}: {' '.join(str(error).split())[:200]}")
            continue
        calls[key] = call
    return calls


def measure(name: str, example: Example, inputs: torch.Tensor, calls: dict, seconds: float) -> list[Row]:
    """Measure one model at one batch size, ``inputs`` being one batch."""
    wanted = example.module(inputs)
    errors = {key: float((call(inputs) - wanted).norm() / wanted.norm()) for key, call in calls.items()}
    right = {key: accuracy(call, example, len(inputs)) for key, call in calls.items()}
    times = interleaved({key: partial(call, inputs) for key, call in calls.items()}, seconds)
    ours = min((key for key in times if key[0] == "native"), key=lambda key: sorted(times[key])[len(times[key]) // 2])
    for call in calls.values():
        if hasattr(call, "close"):
            call.close()
    return [
        Row.of(name, len(inputs), key, times[key], errors[key], right[key], ratio(times[key], times[ours]))
        for key in times
    ]


def accuracy(call: Call, example: Example, batch: int) -> float | None:
    """Share of labelled inputs, or of their pixels, put in the right class.

    None without labels, and at batch 1, where it is the same.
    """
    if example.test is None or batch == 1:
        return None
    whole = len(example.test) // batch * batch
    batches = zip(example.test.inputs[0][:whole].split(batch), example.test.targets[:whole].split(batch), strict=True)
    return sum(float((call(inputs).argmax(1) == labels).float().mean()) for inputs, labels in batches) * batch / whole


def run(
    names: list[str], peers: list[tuple[str, str]], seconds: float, build_seconds: float, threads: int
) -> list[Row]:
    """Measure and print case by case."""
    builds, rows = Builds(build_seconds), []
    for name in names:
        make, batches = MODELS[name]
        example = make()
        plain, int8 = quantized(example)
        for batch in batches:
            case = Case(plain, int8, example.inputs[:batch].contiguous(), example.inputs, threads)
            print(f"\n{name}, batch {batch}", flush=True)
            late: set[tuple[str, str]] = set()
            try:
                late = builds.make(case, [precision for name, precision in peers if name == "inductor"])
            except EngineError as error:
                print(f"  inductor: {error}")
            with torch.inference_mode():
                torch.set_num_threads(threads)
                found = measure(name, example, case.example, prepared(case, peers, late), seconds)
            print(case_lines(found), flush=True)
            rows += found
    return rows


def main() -> None:
    """Measure, print tables, and keep everything as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=list(MODELS), metavar="model", help=", ".join(MODELS))
    groups = {name: [key for key in PEERS if key[0] == name] for name, _ in PEERS}
    groups |= {"/".join(key): [key] for key in PEERS}
    parser.add_argument("--peers", nargs="*", default=[*groups], choices=groups, help="engines, or engine/precision")
    parser.add_argument("--seconds", type=float, default=8.0, help="of measuring for each case")
    parser.add_argument("--build-seconds", type=float, default=300.0, help="for Inductor's compilations, all together")
    parser.add_argument("--threads", type=int, default=usable_threads())
    parser.add_argument("--out", type=Path, default=OUT, help="where the JSON goes")
    options = parser.parse_args()
    peers = [key for key in PEERS if any(key in groups[name] for name in options.peers)]
    rows = run(options.models, peers, options.seconds, options.build_seconds, options.threads)
    document = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "environment": identity.environment(options.threads, 0, offer.libraries()),
        "native_isa": kernels.chosen_isa(),
        "prepare_seconds": prepare_seconds("resnet18", options.threads),
        "call_overhead_us": call_overhead(["fashion-cnn", "mlp", "fashion-resnet8", "resnet20"]),
        "rows": [asdict(row) for row in rows],
    }
    print(summary(document))
    options.out.parent.mkdir(exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1))
    print(f"\nwritten to {options.out}; as a table: python -m benchmarks._native_report {options.out}")


if __name__ == "__main__":
    main()
