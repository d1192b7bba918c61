"""A model of which a part has no kernel: native programs in turn with pieces that PyTorch runs."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.engines._base import Kernel, Runner, Work
from workbench.engines._inputs import as_batch, use_threads
from workbench.engines._judge import judge, quantized_layers
from workbench.engines._program import save_program
from workbench.engines._times import median_times_ms, node_times_ms
from workbench.engines.native.runner import NativeRunner
from workbench.errors import EngineError
from workbench.graph import layer_of
from workbench.graph.fused.cut import Piece
from workbench.graph.fused.lower.storage import lowered
from workbench.graph.fused.nodes import batch_symbol, free_nodes, is_batch_size, shown
from workbench.graph.layers import owners
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch

    from workbench.variant import Variant
else:
    torch = lazy("torch")


class PiecewiseRunner(Runner):
    """Calls its pieces one after the other. May be called from several threads at once."""

    def __init__(
        self,
        variant: Variant,
        module: torch.fx.GraphModule,
        pieces: list[Piece],
        example: torch.Tensor,
        threads: int,
        checkpoint: Callable[[], None],
    ):
        self._variant, self._example = variant, example
        self._features = tuple(example.shape[1:])
        self._pieces: list[NativeRunner | TorchPiece] = []
        inputs = as_batch(example, self._features)
        for piece in pieces:
            checkpoint()
            if piece.graph is None:
                runner = TorchPiece(variant, module, piece, threads)
            else:
                graph = lowered(piece.graph, variant.precision)
                runner = NativeRunner(variant, graph, inputs, threads, checkpoint)
            self._pieces.append(runner)
            inputs = runner(inputs)
        self.kernels = self._kernels()

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        if not self._pieces:
            raise EngineError("this runner was closed; prepare the model again")
        outputs = as_batch(inputs, self._features)
        for piece in self._pieces:
            outputs = piece(outputs)
        return outputs

    def layer_times_ms(self, inputs: torch.Tensor, repeats: int = 20) -> dict[str, float]:
        """Medians by layer; a layer whose work lies in several pieces counts all of it."""
        spent: dict[str, float] = defaultdict(float)
        outputs = as_batch(inputs, self._features)
        for piece in self._pieces:
            for layer, milliseconds in piece.layer_times_ms(outputs, repeats).items():
                spent[layer] += milliseconds
            outputs = piece(outputs)
        return dict(spent)

    def layer_work(self, inputs: torch.Tensor) -> dict[str, list[Work]]:
        """By layer, for those that no part of is run by PyTorch."""
        found: dict[str, list[Work]] = defaultdict(list)
        outputs = as_batch(inputs, self._features)
        for piece in self._pieces:
            if isinstance(piece, NativeRunner):
                for layer, works in piece.layer_work(outputs).items():
                    found[layer] += works
            outputs = piece(outputs)
        torchs = {layer for piece in self._pieces if isinstance(piece, TorchPiece) for layer in piece.ran}
        return {layer: works for layer, works in found.items() if layer not in torchs}

    def save(self, directory: str | Path) -> list[Path]:
        return [save_program(self._variant, self._example, directory)]

    def close(self) -> None:
        for piece in self._pieces:
            piece.close()
        self._pieces = []

    def _kernels(self) -> dict[str, Kernel]:
        ran: dict[str, Kernel] = {}
        for piece in self._pieces:
            for layer, kernel in piece.ran.items():
                before = ran.get(layer)
                ran[layer] = kernel if before is None else _both(before, kernel)
        return ran


class TorchPiece:
    """A part of an exported graph as PyTorch runs it: float32 [batch, …] in and out."""

    def __init__(self, variant: Variant, module: torch.fx.GraphModule, piece: Piece, threads: int):
        self._threads = threads
        self._module = _part_of(module, piece)
        self.ran = _torch_kernels(variant, piece)

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        use_threads(self._threads)
        with torch.inference_mode():
            return self._module(inputs).float()

    def layer_times_ms(self, inputs: torch.Tensor, repeats: int) -> dict[str, float]:
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


def _part_of(module: torch.fx.GraphModule, piece: Piece) -> torch.fx.GraphModule:
    """The piece's nodes as a module of their own; constants and sizes it needs are computed in it again."""
    graph = torch.fx.Graph()
    free, symbol = free_nodes(module.graph), batch_symbol(module.graph)
    source = graph.placeholder("inputs")
    copies = {piece.source: source}
    batch: torch.fx.Node | None = None

    def copied(node: torch.fx.Node) -> torch.fx.Node:
        nonlocal batch
        if node not in copies and node in free:
            if is_batch_size(node, symbol):  # of any tensor
                batch = batch or graph.call_function(torch.ops.aten.sym_size.int, (source, 0))
                return batch
            for used in node.all_input_nodes:
                copied(used)
            copies[node] = graph.node_copy(node, copied)
        return copies[node]

    for block in piece.blocks:
        for node in block.nodes:
            copies[node] = graph.node_copy(node, copied)
    graph.output(copies[piece.result])
    return torch.fx.GraphModule(module, graph)


def _torch_kernels(variant: Variant, piece: Piece) -> dict[str, Kernel]:
    """By layer, with or without weights, the operations PyTorch runs and why it does."""
    quantized = quantized_layers(variant)
    called: dict[str, list[str]] = defaultdict(list)
    reasons: dict[str, list[str]] = defaultdict(list)
    for block in piece.blocks:
        for node in block.nodes:
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
