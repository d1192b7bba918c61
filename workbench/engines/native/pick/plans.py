"""Choices the native engine makes by trying them.

When a program is built, once per machine: tile widths, and which layers int8 makes slower. In each process, for each
batch size: how threads share the work, which depends on what else the machine does.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.engines.native.emit.emitter import Emitted, emit
from workbench.engines.native.pick.keep import faster, in_float32, int8_layers, slower_in_int8
from workbench.engines.native.pick.remembered import Picks, key_of, recall, remember
from workbench.graph.fused.ir import Graph
from workbench.graph.fused.ops import Op
from workbench.machine.spinning import wait_for_sleeping_threads
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch

    from workbench.kernels.program import Program
else:
    torch = lazy("torch")

_WIDTHS = (2, 1, 3, 4)  # channel vectors of a convolution tile; the usual best first
_TILE_BUDGET_S = 0.3
_TILE_BATCH = 4
_UNDISTURBED = 0.9  # of a processor while measuring; with less of one, other programs decided as well
_PLAN_BUDGET_S = 0.03
_LONG_CALL_S = 0.01  # what takes a thread longer is tried on fewer examples,
_EACH_AT_LEAST = 8  # but on so many for each thread that the last chunk hardly counts
_CHUNKS = (1, 4, 16, 64)
_TURN_S = 0.0003  # calls of one kind in a row, as in use: between two kinds the threads may fall asleep
_WORTH_THREADS = 0.9  # of one thread's time: for less gain, others had better have the processors


@dataclass(frozen=True)
class Plan:
    """How a batch is run.

    ``outputs``: a tensor like those that calls give; a new one is made sooner after its example than from a shape.
    ``chunk``: images a thread takes through all steps at a time; 0: the threads share each step.
    """

    batch: int
    outputs: torch.Tensor = field(compare=False, repr=False)
    chunk: int
    threads: int


def build(graph: Graph, isa: str, example: torch.Tensor, checkpoint: Callable[[], None]) -> Emitted:
    """Build the program with the tile widths, and the layers kept in float32, that were fastest on this machine."""
    inputs = example[:_TILE_BATCH].contiguous()
    key = key_of(graph, isa, len(inputs))
    picks = recall(key, len(graph.ops))
    if picks is None:
        began, spent = time.perf_counter(), time.thread_time()
        picks = _measured(graph, isa, inputs, checkpoint)
        share = (time.thread_time() - spent) / (time.perf_counter() - began)
        remember(key, picks, on_disk=share > _UNDISTURBED)
    checkpoint()
    return _emit_as(picks, graph, isa)


def _emit_as(picks: Picks, graph: Graph, isa: str) -> Emitted:
    layers = set(int8_layers(graph))
    kept = [op for op, stays in zip(graph.ops, picks.kept, strict=True) if stays and op in layers]
    widths = {op: width for op, width in zip(graph.ops, picks.widths, strict=True) if width in _WIDTHS}
    if kept:
        graph, twins = in_float32(graph, kept)
        widths |= {twin: widths[op] for op, twin in twins.items() if op in widths}
    return emit(graph, isa, widths)


def _measured(graph: Graph, isa: str, inputs: torch.Tensor, checkpoint: Callable[[], None]) -> Picks:
    outputs = torch.empty((len(inputs), *graph.output.shape))

    def step_times(emitted: Emitted) -> dict[Op, float]:
        times: dict[Op, float] = {}
        per_step = _step_times(emitted.program, inputs, outputs, _TILE_BUDGET_S / len(_WIDTHS))
        for op, nanoseconds in zip(emitted.ops, per_step, strict=True):
            if op is not None:
                times[op] = times.get(op, 0.0) + nanoseconds
        return times

    best: dict[Op, tuple[float, int]] = {}
    for width in _WIDTHS:
        checkpoint()
        for op, nanoseconds in step_times(emit(graph, isa, width)).items():
            # A wider tile has to be clearly faster: the first width was measured under the same noise.
            if op not in best or nanoseconds < 0.97 * best[op][0]:
                best[op] = (nanoseconds, width)
    checkpoint()
    slower = slower_in_int8(graph, isa, {op: nanoseconds for op, (nanoseconds, _) in best.items()}, step_times)
    widths = tuple(best[op][1] if op in best else _WIDTHS[0] for op in graph.ops)
    nothing = Picks(widths, (False,) * len(graph.ops))
    if not slower:
        return nothing
    checkpoint()
    some = Picks(widths, tuple(op in slower for op in graph.ops))
    programs = (_emit_as(picks, graph, isa).program for picks in (nothing, some))
    return some if faster(*programs, (inputs.data_ptr(), outputs.data_ptr()), len(inputs)) else nothing


def _step_times(program: Program, inputs: torch.Tensor, outputs: torch.Tensor, budget_s: float) -> list[float]:
    """The least time of each step: whatever else the machine does only adds to it."""
    best: list[float] | None = None
    end = time.perf_counter() + budget_s
    for run in range(50):
        times = program.step_times_ns(inputs.data_ptr(), outputs.data_ptr(), len(inputs), 1)
        best = times if best is None else [min(pair) for pair in zip(best, times, strict=True)]
        if run >= 2 and time.perf_counter() > end:
            break
    return best


def choose_plan(program: Program, inputs: torch.Tensor, outputs: torch.Tensor, threads: int) -> Plan:
    """Time the ways to run a batch of this size and return the fastest.

    Where a call takes long, on a part of the batch: what a chunk takes doesn't depend on how many follow it.
    """
    batch = len(inputs)
    tried = min(batch, max(_EACH_AT_LEAST * threads, int(_LONG_CALL_S / _one_example_s(program, inputs, outputs))))
    plans = [Plan(batch, outputs, 0, 1)]
    if batch > 1:
        share = -(-tried // threads)
        plans += [Plan(batch, outputs, chunk, threads) for chunk in sorted({*(c for c in _CHUNKS if c < share), share})]
    if threads > 1 and tried == batch:
        plans.append(Plan(batch, outputs, 0, threads))
    pointers = inputs.data_ptr(), outputs.data_ptr()
    samples: dict[Plan, list[float]] = {plan: [] for plan in plans}

    def timed_calls(plan: Plan) -> list[float]:
        calls: list[float] = []
        begin = now = time.perf_counter()
        while now < begin + _TURN_S:
            start = now
            program.run(*pointers, tried, plan.chunk, plan.threads)
            now = time.perf_counter()
            calls.append(now - start)
        return calls

    wait_for_sleeping_threads()  # PyTorch's: it may just have run a model
    budget_s = _PLAN_BUDGET_S * len(plans)
    began = time.perf_counter()
    for turns in itertools.count(1):
        for plan in plans:  # in turn, so that a busy moment falls on all alike
            calls = timed_calls(plan)
            samples[plan] += calls[1:] or calls  # the first may have found the threads asleep
        spent_s = time.perf_counter() - began
        if spent_s > budget_s and (turns > 3 or spent_s > budget_s * turns):
            break

    def lasts(plan: Plan) -> float:
        # The lower decile: above the lucky minimum, and what another program did to most of the runs doesn't count.
        decile = sorted(samples[plan])[len(samples[plan]) // 10]
        return decile if plan.threads == 1 else decile / _WORTH_THREADS

    return min(plans, key=lasts)


def _one_example_s(program: Program, inputs: torch.Tensor, outputs: torch.Tensor) -> float:
    """Seconds of the first example alone, in one thread."""

    def seconds() -> float:
        start = time.perf_counter()
        program.run(inputs.data_ptr(), outputs.data_ptr(), 1, 0, 1)
        return time.perf_counter() - start

    return min(seconds() for _ in range(3))
