"""Two figures of the native engine alone: the seconds of ``prepare``, and what a call costs beside its kernels."""

from __future__ import annotations

import os
import tempfile
import time

import torch

from benchmarks.native_models import MODELS
from workbench import engines
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Data


def prepare_seconds(name: str, threads: int) -> dict[str, float]:
    """Seconds of ``prepare`` at batch 1 by precision, with nothing remembered from earlier."""
    found = {}
    with tempfile.TemporaryDirectory() as directory:
        before = os.environ.get("WORKBENCH_DATA")
        os.environ["WORKBENCH_DATA"] = directory
        try:
            for precision, variant, inputs in _variants(name):
                begin = time.perf_counter()
                engines.find("native").prepare(variant, inputs[:1].contiguous(), threads=threads).close()
                found[precision] = time.perf_counter() - begin
        finally:
            del os.environ["WORKBENCH_DATA"]
            if before is not None:
                os.environ["WORKBENCH_DATA"] = before
    return found


def call_overhead(names: list[str], rounds: int = 300) -> dict[str, float]:
    """Microseconds that an int8 call at batch 1 on one thread takes beyond the sum of its steps, by model.

    Of both the least is taken. The steps' own times contain the reading of the clock, some 25 ns each.
    """
    found = {}
    for name in names:
        _, variant, inputs = list(_variants(name))[-1]
        example = inputs[:1].contiguous()
        runner = engines.find("native").prepare(variant, example, threads=1)
        call_s = float("inf")
        with torch.inference_mode():
            for _ in range(rounds):
                begin = time.perf_counter()
                runner(example)
                call_s = min(call_s, time.perf_counter() - begin)
            steps_ns = min(map(sum, runner.step_times_ns(example, rounds)))
        found[name] = call_s * 1e6 - steps_ns / 1e3
        runner.close()
    return found


def _variants(name: str):
    example = MODELS[name][0]()
    plain = Variant(example.module)
    yield "fp32", plain, example.inputs
    train = Data(example.inputs, torch.zeros(len(example.inputs), dtype=torch.long))
    yield "int8", Quantize().apply(plain, Context(train=train)), example.inputs
