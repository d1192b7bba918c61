"""A model of which a part has no kernel: native programs in turn with pieces that PyTorch runs."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.engines._base import Kernel, Runner, Work
from workbench.engines._inputs import InputForm, use_threads
from workbench.engines._judge import judge, quantized_layers
from workbench.engines._program import save_program
from workbench.engines._times import median_times_ms, node_times_ms
from workbench.engines.native.runner import NativeRunner
from workbench.errors import EngineError
from workbench.graph import layer_of
from workbench.graph.fused.cut import MASKS, Piece
from workbench.graph.fused.lower.storage import lowered
from workbench.graph.fused.nodes import (
    batch_symbol,
    begins_with_batch,
    free_nodes,
    inputs_of,
    is_batch_size,
    result_of,
    shown,
)
from workbench.graph.layers import owners
from workbench.plumbing.lazy import lazy
from workbench.workload import Data

if TYPE_CHECKING:
    import torch

    from workbench.variant import Variant
    from workbench.workload import Inputs

    Values = dict[torch.fx.Node, Any]
    """What nodes gave in one call."""
else:
    torch = lazy("torch")


@dataclass(frozen=True)
class _Step:
    """A piece and the nodes whose values it takes and gives; ``spent``: those that nobody takes after it."""

    piece: NativeRunner | TorchPiece
    sources: list[torch.fx.Node]
    results: list[torch.fx.Node]
    spent: list[torch.fx.Node]

    def taken(self, values: Values) -> Inputs:
        return tuple(values[node] for node in self.sources)

    def run(self, values: Values) -> None:
        made = self.piece(*self.taken(values))
        values.update(zip(self.results, made if isinstance(made, tuple) else (made,), strict=True))
        for node in self.spent:
            del values[node]


class PiecewiseRunner(Runner):
    """Calls its pieces one after the other. May be called from several threads at once."""

    def __init__(
        self,
        variant: Variant,
        module: torch.fx.GraphModule,
        pieces: list[Piece],
        example: Inputs,
        threads: int,
        checkpoint: Callable[[], None],
    ):
        self._variant, self._example = variant, example
        self._form = InputForm.of(example)
        self._inputs, self._result = inputs_of(module.graph), result_of(module.graph)
        self._steps: list[_Step] = []
        values = self._values(example)
        last_use = {node: number for number, piece in enumerate(pieces) for node in (*piece.results, *piece.sources)}
        for number, piece in enumerate(pieces):
            checkpoint()
            spent = [node for node, last in last_use.items() if last == number and node.op != "placeholder"]
            runner, sources = self._runner_of(piece, module, values, threads, checkpoint)
            self._steps.append(_Step(runner, sources, piece.results, [n for n in spent if n is not self._result]))
            self._steps[-1].run(values)
        self.kernels = self._kernels()

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        if not self._steps:
            raise EngineError("this runner was closed; prepare the model again")
        values = self._values(inputs)
        for step in self._steps:
            step.run(values)
        return values[self._result].float()

    def layer_times_ms(self, inputs: Inputs | torch.Tensor, repeats: int = 20) -> dict[str, float]:
        """Medians by layer; a layer whose work lies in several pieces counts all of it."""
        spent: dict[str, float] = defaultdict(float)
        for piece, taken in self._walk(inputs):
            for layer, milliseconds in piece.layer_times_ms(taken, repeats).items():
                spent[layer] += milliseconds
        return dict(spent)

    def layer_work(self, inputs: Inputs | torch.Tensor) -> dict[str, list[Work]]:
        """By layer, for those that no part of is run by PyTorch."""
        found: dict[str, list[Work]] = defaultdict(list)
        for piece, taken in self._walk(inputs):
            if isinstance(piece, NativeRunner):
                for layer, works in piece.layer_work(taken).items():
                    found[layer] += works
        torchs = {layer for step in self._steps if isinstance(step.piece, TorchPiece) for layer in step.piece.ran}
        return {layer: works for layer, works in found.items() if layer not in torchs}

    def save(self, directory: str | Path) -> list[Path]:
        return [save_program(self._variant, self._example, directory)]

    def close(self) -> None:
        for step in self._steps:
            step.piece.close()
        self._steps = []

    def _values(self, inputs: Inputs) -> Values:
        """By node, what is known when nothing has run yet."""
        return dict(zip(self._inputs, self._form.fit(inputs), strict=True))

    def _runner_of(
        self,
        piece: Piece,
        module: torch.fx.GraphModule,
        values: Values,
        threads: int,
        checkpoint: Callable[[], None],
    ) -> tuple[NativeRunner | TorchPiece, list[torch.fx.Node]]:
        """What runs a piece, and the nodes whose values it takes."""
        if piece.graph is None:
            runner = TorchPiece(self._variant, module, piece, threads)
            return runner, runner.sources
        graph, sources = lowered(piece.graph, self._variant.precision), piece.sources or self._inputs[:1]
        example = tuple(values[node] for node in sources)
        return NativeRunner(self._variant, graph, example, threads, checkpoint), sources

    def _walk(self, inputs: Inputs | torch.Tensor) -> Iterator[tuple[NativeRunner | TorchPiece, Inputs]]:
        """Each piece with what it takes of others, which run in between."""
        values = self._values(Data(inputs).inputs)
        for step in self._steps:
            yield step.piece, step.taken(values)
            step.run(values)

    def _kernels(self) -> dict[str, Kernel]:
        ran: dict[str, Kernel] = {}
        for step in self._steps:
            for layer, kernel in step.piece.ran.items():
                before = ran.get(layer)
                ran[layer] = kernel if before is None else _both(before, kernel)
        return ran


class TorchPiece:
    """A part of an exported graph as PyTorch runs it: from what ``sources`` gave to what others take of it."""

    def __init__(self, variant: Variant, module: torch.fx.GraphModule, piece: Piece, threads: int):
        self._threads = threads
        self._module, self.sources = _part_of(module, piece)
        self.ran = _torch_kernels(variant, piece)

    def __call__(self, *inputs: torch.Tensor) -> Inputs:
        use_threads(self._threads)
        with torch.inference_mode():
            return self._module(*inputs)

    def layer_times_ms(self, inputs: Inputs, repeats: int) -> dict[str, float]:
        """Medians by layer; what belongs to none counts to the layer it feeds, or goes by its operation's name."""
        owner_of = owners(self._module.graph)

        def once() -> dict[str, float]:
            spent: dict[str, float] = defaultdict(float)
            for node, milliseconds in node_times_ms(self._module, inputs, _now_ms).items():
                if node.op == "call_function":
                    spent[owner_of.get(node, shown(node))] += milliseconds
            return spent

        use_threads(self._threads)
        with torch.inference_mode():
            return median_times_ms(once() for _ in range(repeats))

    def close(self) -> None:
        self._module = None


def _now_ms() -> float:
    return time.perf_counter() * 1e3


def _part_of(module: torch.fx.GraphModule, piece: Piece) -> tuple[torch.fx.GraphModule, list[torch.fx.Node]]:
    """The piece's nodes as a module of their own that gives a tuple, and what it takes.

    Constants and sizes it needs are computed in it again; the batch's size is that of a tensor it takes.
    """
    graph = torch.fx.Graph()
    free, symbol = free_nodes(module.graph), batch_symbol(module.graph)
    sources = piece.sources
    if not any(begins_with_batch(node, symbol) for node in sources):
        sources.append(inputs_of(module.graph)[0])
    copies = {node: graph.placeholder(node.name) for node in sources}
    whole = next((copies[node] for node in sources if begins_with_batch(node, symbol)), None)
    batch: torch.fx.Node | None = None

    def copied(node: torch.fx.Node) -> torch.fx.Node:
        nonlocal batch
        if node not in copies and node in free:
            if is_batch_size(node, symbol):  # of any tensor
                batch = batch or graph.call_function(torch.ops.aten.sym_size.int, (whole, 0))
                return batch
            for used in node.all_input_nodes:
                copied(used)
            copies[node] = graph.node_copy(node, copied)
        return copies[node]

    for node in piece.nodes:
        copies[node] = graph.node_copy(node, copied)
    graph.output(tuple(copies[node] for node in piece.results))
    return torch.fx.GraphModule(module, graph), sources


def _torch_kernels(variant: Variant, piece: Piece) -> dict[str, Kernel]:
    """By layer, with or without weights, the operations PyTorch runs and why it does."""
    quantized = quantized_layers(variant)
    called: dict[str, list[str]] = defaultdict(list)
    reasons: dict[str, list[str]] = defaultdict(list)
    for block in piece.blocks:
        for node in block.nodes if block.reason != MASKS else []:  # their layers are those that the masks are for
            if (layer := layer_of(node)) and not shown(node).startswith("aten::_"):
                called[layer].append(shown(node))
                reasons[layer].append(block.reason)
    kernels: dict[str, Kernel] = {}
    for layer, names in called.items():
        reason = f"PyTorch runs this piece: {'; '.join(dict.fromkeys(reasons[layer]))}"
        name = f"{' + '.join(dict.fromkeys(names))} (PyTorch)"
        kernels[layer] = replace(judge(variant, layer, layer in quantized, name, "float32", reason), reason=reason)
    return kernels


def _both(first: Kernel, second: Kernel) -> Kernel:
    """What runs a layer whose calls lie in two pieces."""
    reason = "; ".join(dict.fromkeys(reason for reason in (first.reason, second.reason) if reason))
    name = " + ".join(dict.fromkeys([first.name, second.name]))
    dtype = first.dtype if first.dtype == second.dtype else "float32"
    reality = "simulated" if "simulated" in (first.reality, second.reality) else first.reality
    return Kernel(name, dtype, reality, reason)
