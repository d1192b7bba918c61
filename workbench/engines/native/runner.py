"""Runs a whole native program: the fast path, with a plan for each batch size."""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from workbench import kernels
from workbench.engines._base import Export, Kernel, Runner, Work
from workbench.engines._inputs import InputForm
from workbench.engines._judge import judge, quantized_layers
from workbench.engines._program import save_program
from workbench.engines._times import median_times_ms
from workbench.engines.native.pick.plans import Plan, build, choose_plan
from workbench.errors import EngineError
from workbench.graph.fused.ir import Graph
from workbench.graph.fused.ops import Conv, Embedding, Op, Recurrent, Weighted, WeightOnly
from workbench.graph.fused.stored import restore, store
from workbench.graph.fused.work import work_of
from workbench.graph.layers import weighted
from workbench.machine.limits import usable_threads
from workbench.plumbing.lazy import lazy
from workbench.workload import Data

if TYPE_CHECKING:
    import torch

    from workbench.kernels.program import Program
    from workbench.precisions import Precision
    from workbench.variant import Variant
    from workbench.workload import Inputs
else:
    torch = lazy("torch")


PROGRAM = Export(
    "native.safetensors", "workbench", ('outputs = workbench.load_program("native.safetensors")(*inputs)',)
)


_AROUND_A_LAYER = ("quantize_rows", "rescale_rows")
"""Kernels that a layer needs beside the one that multiplies, which is the one to name."""
_WAKING_S = 1e-3
"""How long a program runs before its steps are timed, so that its threads have woken up."""


class ProgramRunner(Runner):
    """A compiled program, its inputs float32 in its memory. May be called from several threads at once."""

    def __init__(
        self, graph: Graph, example: Inputs, threads: int, checkpoint: Callable[[], None] = lambda: None
    ) -> None:
        self._graph, self._example = graph, example
        self._form, self._outputs = InputForm.of(example), graph.output_shape
        self._threads = min(threads, usable_threads())
        self._table_rows = _table_rows(graph)
        inputs = self._in_memory(example)
        self.isa = kernels.chosen_isa()
        emitted = build(graph, self.isa, inputs, checkpoint)
        self._program: Program | None = emitted.program
        self._ops = emitted.ops
        self.arena_bytes = emitted.arena_bytes
        self._run = emitted.program.run
        self._tensor, self._empty_like = torch.Tensor, torch.empty_like
        self._straight = torch.float32 if self._form.dtypes == (torch.float32,) else None
        self._plans: dict[torch.Size, Plan] = {}
        self._planning = threading.Lock()
        self.kernels: Mapping[str, Kernel] = {}
        self._plan(inputs)

    @classmethod
    def load(cls, path: Path | str, threads: int | None = None) -> ProgramRunner:
        """The program in a file that :meth:`NativeRunner.save` wrote; see :func:`workbench.load_program`."""
        graph, facts = restore(path)
        features, dtypes = facts["features"], [getattr(torch, name) for name in facts["dtypes"]]
        outside = [*map(math.prod, features), math.prod(graph.output_shape)]
        if outside != [math.prod(value.shape) for value in (*graph.inputs, graph.output)]:
            raise EngineError(f"{path} says of inputs and outputs what its program doesn't; save the model again")
        each = zip(features, dtypes, strict=True)
        example = tuple(torch.zeros(facts["batch"], *shape, dtype=dtype) for shape, dtype in each)
        return cls(graph, example, threads or usable_threads())

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        # A call has a few microseconds: the usual case is known by its shape and goes straight through.
        given = inputs[0] if len(inputs) == 1 else None
        plan = self._plans.get(given.shape) if type(given) is self._tensor else None
        if plan is None or given.dtype is not self._straight or not (given.is_cpu and given.is_contiguous()):
            given = self._in_memory(inputs)
            plan = self._plan(given)
        elif self._table_rows:
            self._check_ids(inputs)
        outputs = self._empty_like(plan.outputs)
        self._run(given.data_ptr(), outputs.data_ptr(), plan.batch, plan.chunk, plan.threads)
        return outputs

    def step_times_ns(self, inputs: Inputs | torch.Tensor, repeats: int) -> list[list[float]]:
        """Nanoseconds of each step of the program in ``repeats`` runs, as many threads sharing it as a call would use.

        The runs follow one another closely, after some that aren't counted, as they do where whole calls are timed:
        a thread that sleeps takes longer to wake up than a small program to run.
        """
        given = self._in_memory(Data(inputs).inputs)
        outputs = torch.empty((len(given), *self._outputs))
        program = self._open_program()
        arguments = given.data_ptr(), outputs.data_ptr(), len(given), self._timed_threads(given)
        begin = time.perf_counter()
        while time.perf_counter() - begin < _WAKING_S:
            program.step_times_ns(*arguments)
        return [program.step_times_ns(*arguments) for _ in range(repeats)]

    def layer_times_ms(self, inputs: Inputs | torch.Tensor, repeats: int = 20) -> dict[str, float]:
        """Medians by layer, from clock reads inside the program; fused steps count to their layer."""

        def by_layer(steps_ns: list[float]) -> dict[str, float]:
            spent: dict[str, float] = defaultdict(float)
            for op, nanoseconds in zip(self._ops, steps_ns, strict=True):
                if op is not None and op.layers:
                    spent[op.layers[0]] += nanoseconds / 1e6
            return spent

        return median_times_ms(map(by_layer, self.step_times_ns(inputs, repeats)))

    def layer_work(self, inputs: Inputs | torch.Tensor) -> dict[str, list[Work]]:
        given = self._in_memory(Data(inputs).inputs)
        threads = self._timed_threads(given)
        kernels_of: dict[Op, list[str]] = defaultdict(list)
        for op, kernel in zip(self._ops, self._open_program().kernels, strict=True):
            if op is not None and op.layers:
                kernels_of[op].append(kernel)
        found: dict[str, list[Work]] = defaultdict(list)
        for op, names in kernels_of.items():
            found[op.layers[0]].append(work_of(op, names, len(given), threads))
        return found

    def close(self) -> None:
        self._plans.clear()
        self._program = None
        self._run = _refuse_to_run

    def _in_memory(self, inputs: Inputs) -> torch.Tensor:
        """What a program reads: float32, also of whole numbers; of several inputs, those of an example side by side."""
        fitting = self._form.fit(inputs)
        self._check_ids(fitting)
        if len(fitting) == 1:
            return fitting[0].float()
        return torch.cat([each.reshape(len(each), -1).float() for each in fitting], 1)

    def _check_ids(self, inputs: Inputs) -> None:
        for number, rows in self._table_rows.items():
            low, high = (float(end) for end in torch.aminmax(inputs[number]))
            if not (low >= 0 and high < rows):
                wrong = low if not low >= 0 else high
                raise EngineError(f"token {wrong:g} is outside the embedding's {rows} rows")

    def _timed_threads(self, inputs: torch.Tensor) -> int:
        return self._threads if self._plan(inputs).threads > 1 else 1

    def _plan(self, inputs: torch.Tensor) -> Plan:
        """The way to run batches of this size, measured at the first of them."""
        with self._planning:
            program = self._open_program()
            if inputs.shape not in self._plans:
                outputs = torch.empty((len(inputs), *self._outputs))
                self._plans[inputs.shape] = choose_plan(program, inputs, outputs, self._threads)
            return self._plans[inputs.shape]

    def _open_program(self) -> Program:
        if self._program is None:
            raise _closed()
        return self._program


class NativeRunner(ProgramRunner):
    """The program of a variant, or of a part of its graph."""

    def __init__(
        self, variant: Variant, graph: Graph, example: Inputs, threads: int, checkpoint: Callable[[], None]
    ) -> None:
        super().__init__(graph, example, threads, checkpoint)
        self._variant = variant
        self.ran = self._ran()
        """By layer with weights that this program computes, what does."""
        self.kernels = {layer: self.ran[layer] for layer in weighted(variant.module) if layer in self.ran}

    def save(self, directory: str | Path) -> list[Path]:
        path = Path(directory) / PROGRAM.name
        dtypes = [str(dtype).removeprefix("torch.") for dtype in self._form.dtypes]
        facts = {"features": self._form.features, "dtypes": dtypes, "batch": len(self._example[0])}
        store(self._graph, path, facts)
        return [save_program(self._variant, self._example, directory), path]

    def _ran(self) -> dict[str, Kernel]:
        quantized = quantized_layers(self._variant)
        ran: dict[str, Kernel] = {}
        for op, name in zip(self._ops, self._open_program().kernels, strict=True):
            if not isinstance(op, (Weighted, Embedding)) or name.startswith(_AROUND_A_LAYER):
                continue
            dtype, why = _computed_in(op, self._variant.formats_of(next(iter(op.layers), "")))
            if isinstance(op, Conv) and op.reason:
                ran |= {layer: Kernel(name, dtype, "unchanged", op.reason) for layer in op.layers}
                continue
            ran |= {layer: judge(self._variant, layer, layer in quantized, name, dtype, why) for layer in op.layers}
        return ran


def _table_rows(graph: Graph) -> dict[int, int]:
    """By input that rows are looked up by, of how many the smallest table has."""
    found: dict[int, int] = {}
    for op in graph.ops:
        if isinstance(op, Embedding):
            number = graph.inputs.index(op.inputs[0])
            found[number] = min(len(op.table), found.get(number, len(op.table)))
    return found


def _computed_in(op: Weighted | Embedding, asked: Precision) -> tuple[str, str]:
    """The dtype of an operation with weights, and why it isn't another."""
    if isinstance(op, Embedding):
        return "float32", "an embedding only looks its rows up, in float32"
    if isinstance(op, WeightOnly) and asked.weights_only:
        return f"int{op.bits}", ""
    if isinstance(op, (Conv, Recurrent)) and op.steps is not None:
        return "int8", ""
    if isinstance(op, Recurrent) and asked.cast:
        return "float32", "a recurrent layer's steps have no bf16 kernel here and are computed in float32"
    if op.inputs[0].half:
        return "bfloat16", ""
    if isinstance(op, Conv) and op.is_depthwise:
        return "float32", "a depthwise convolution has no bf16 kernel here and is computed in float32"
    return "float32", "its input isn't quantized here, so it is computed in float32"


def _closed() -> EngineError:
    return EngineError("this runner was closed; prepare the model again")


def _refuse_to_run(*_: object) -> None:
    raise _closed()
