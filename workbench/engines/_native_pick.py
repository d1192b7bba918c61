"""Choices the native engine makes by trying them: tile widths when a program is built, threads for each batch size."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench._lazy import lazy
from workbench.engines._native_emit import Emitted, emit
from workbench.engines._native_ir import Graph, Op

if TYPE_CHECKING:
    import torch

    from workbench.kernels.program import Program
else:
    torch = lazy("torch")

_WIDTHS = (2, 1, 3, 4)  # channel vectors of a convolution tile; the usual best first
_TILE_BUDGET_S = 0.3
_TILE_BATCH = 4
_PLAN_BUDGET_S = 0.03
_CHUNKS = (1, 4, 16, 64)


@dataclass(frozen=True)
class Plan:
    """How a batch is run.

    ``chunk``: images a thread takes through all steps at a time; 0: the threads share each step.
    """

    batch: int
    output_shape: tuple[int, ...]
    chunk: int
    threads: int


def build(graph: Graph, isa: str, example: torch.Tensor, checkpoint: Callable[[], None]) -> Emitted:
    """Build the program with the tile width for each convolution that was fastest here."""
    inputs = example[:_TILE_BATCH].contiguous()
    outputs = torch.empty((len(inputs), *graph.output.shape))
    best: dict[Op, tuple[float, int]] = {}
    for width in _WIDTHS:
        checkpoint()
        emitted = emit(graph, isa, width)
        times = _step_times(emitted.program, inputs, outputs, _TILE_BUDGET_S / len(_WIDTHS))
        spent: dict[Op, float] = defaultdict(float)
        for op, nanoseconds in zip(emitted.ops, times, strict=True):
            if op is not None:
                spent[op] += nanoseconds
        for op, nanoseconds in spent.items():
            # A wider tile has to be clearly faster: the first width was measured under the same noise.
            if op not in best or nanoseconds < 0.97 * best[op][0]:
                best[op] = (nanoseconds, width)
    checkpoint()
    return emit(graph, isa, {op: width for op, (_, width) in best.items()})


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
    """Time the ways to run a batch of this size and return the fastest."""
    batch, shape = len(inputs), tuple(outputs.shape)
    plans = [Plan(batch, shape, 0, 1)]
    if batch > 1:
        share = -(-batch // threads)
        plans += [Plan(batch, shape, chunk, threads) for chunk in sorted({*(c for c in _CHUNKS if c < share), share})]
    if threads > 1:
        plans.append(Plan(batch, shape, 0, threads))
    pointers = inputs.data_ptr(), outputs.data_ptr()
    samples: dict[Plan, list[float]] = {plan: [] for plan in plans}
    end = time.perf_counter() + _PLAN_BUDGET_S * len(plans)
    for run in range(60):
        for plan in plans:  # in turn, so that a busy moment falls on all alike
            start = time.perf_counter()
            program.run(*pointers, batch, plan.chunk, plan.threads)
            samples[plan].append(time.perf_counter() - start)
        if run >= 3 and time.perf_counter() > end:
            break
    # The lower quartile: above the lucky minimum, below what interruptions add.
    return min(plans, key=lambda plan: sorted(samples[plan][1:])[(len(samples[plan]) - 1) // 4])
