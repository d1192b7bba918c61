"""Where a model is cut, so that what no kernel takes is run by PyTorch and the rest stays native.

A cut is made only where a single float tensor [batch, …] crosses: what lies between two such places is a block,
and a block is run by one of the two as a whole. Neighbouring blocks of a kind make a piece.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.errors import EngineError
from workbench.graph.fused.ir import Graph
from workbench.graph.fused.nodes import (
    attribute,
    batch_symbol,
    free_nodes,
    input_of,
    is_dequantization,
    operator_of,
    result_of,
    traced,
)
from workbench.graph.fused.ops import Weighted
from workbench.graph.fused.read.reader import Reader
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import sympy
    import torch
else:
    torch = lazy("torch")

TOO_LITTLE = "this piece has no layer with weights, so a program of its own would cost more than it saves"
_LEAST_SHARE = 0.5
"""Of the multiplications in layers with weights: with less than that native, a peer that runs the whole is faster."""


@dataclass
class Block:
    """Nodes that are run together. ``reason``: why they can't be native; empty where they can."""

    nodes: list[torch.fx.Node]
    source: torch.fx.Node
    result: torch.fx.Node
    reason: str = ""


@dataclass
class Piece:
    """Blocks in a row. ``graph`` is what the native engine runs; ``None`` where PyTorch does."""

    blocks: list[Block]
    graph: Graph | None = field(default=None, repr=False)

    @property
    def source(self) -> torch.fx.Node:
        return self.blocks[0].source

    @property
    def result(self) -> torch.fx.Node:
        return self.blocks[-1].result


def cut(module: torch.fx.GraphModule) -> list[Piece]:
    """The model as native pieces and pieces that PyTorch runs, in turn.

    Raises
    ------
    EngineError
        Where nothing of it is worth running native; with the first operation that has no kernel.
    """
    blocks = _blocks(module)
    pieces: list[Piece] = []
    while blocks:
        piece = _longest_native(module, blocks)
        if piece is None or not any(isinstance(op, Weighted) for op in piece.graph.ops):
            taken = blocks[:1] if piece is None else piece.blocks
            for block in taken:
                block.reason = block.reason or TOO_LITTLE
            piece = Piece(taken)
        blocks = blocks[len(piece.blocks) :]
        if pieces and piece.graph is None and pieces[-1].graph is None:
            pieces[-1].blocks += piece.blocks
        else:
            pieces.append(piece)
    work = [sum(_work(module, node) for block in piece.blocks for node in block.nodes) for piece in pieces]
    native = sum(amount for piece, amount in zip(pieces, work, strict=True) if piece.graph is not None)
    if native == 0 or native < _LEAST_SHARE * sum(work):
        reasons = [block.reason for piece in pieces if piece.graph is None for block in piece.blocks]
        first = next((reason for reason in reasons if reason != TOO_LITTLE), TOO_LITTLE)
        raise EngineError(f"{first}; too little of the model is left to run native")
    return pieces


def _work(module: torch.fx.GraphModule, node: torch.fx.Node) -> int:
    """Multiplications of a node with weights, for one example."""
    result = traced(node)
    result = result[0] if isinstance(result, (tuple, list)) else result
    if not isinstance(result, torch.Tensor) or operator_of(node) == "aten.embedding.default":
        return 0
    sizes = result.shape[2:] if str(operator_of(node)).startswith("aten.conv") else result.shape[:-1]
    places = math.prod(size for size in sizes if isinstance(size, int))
    weights = 0
    for argument in node.all_input_nodes:
        while is_dequantization(argument):
            argument = argument.all_input_nodes[0]
        constant = attribute(module, argument.target) if argument.op == "get_attr" else None
        if isinstance(constant, torch.Tensor) and constant.dim() >= 2:
            weights += constant.numel()
    return weights * places


def _longest_native(module: torch.fx.GraphModule, blocks: list[Block]) -> Piece | None:
    """The first blocks that one native program can run; ``None``, and the reason in the block, for none."""
    readable = 0
    reader = Reader(module, blocks[0].source)
    try:
        for block in blocks:
            for node in block.nodes:
                reader.visit(node)
            readable += 1
    except EngineError as error:
        blocks[readable].reason = str(error)
    for count in range(readable, 0, -1):
        try:
            return Piece(blocks[:count], _read(module, blocks[:count]))
        except EngineError as error:  # its result lies in memory in an order that only a kernel understands
            blocks[0].reason = str(error)
    return None


def _read(module: torch.fx.GraphModule, blocks: list[Block]) -> Graph:
    reader = Reader(module, blocks[0].source)
    for block in blocks:
        for node in block.nodes:
            reader.visit(node)
    return reader.graph(blocks[-1].result)


def _blocks(module: torch.fx.GraphModule) -> list[Block]:
    """The model between all the places where it may be cut."""
    nodes = [n for n in module.graph.nodes if n.op in ("placeholder", "call_function", "output")]
    last_use = {used: place for place, node in enumerate(nodes) for used in node.all_input_nodes}
    free, batch = free_nodes(module.graph), batch_symbol(module.graph)
    blocks: list[Block] = []
    alive: set[torch.fx.Node] = set()
    source, since = input_of(module.graph), []
    for place, node in enumerate(nodes):
        if node.op == "output":
            blocks.append(Block(since, source, result_of(module.graph)))
        if node.op == "output" or node in free:
            continue
        if node.op == "call_function":
            since.append(node)
        alive = {n for n in (*alive, node) if last_use.get(n, -1) > place}
        if since and len(alive) == 1 and _may_cross(crossing := next(iter(alive)), batch) and crossing is not source:
            blocks.append(Block(since, source, crossing))
            source, since = crossing, []
    return [block for block in blocks if block.nodes]


def _may_cross(node: torch.fx.Node, batch: sympy.Symbol | None) -> bool:
    """Whether a program may begin with this tensor: float32 [batch, …] with the batch its only free size."""
    value = traced(node)
    if not isinstance(value, torch.Tensor) or value.dtype is not torch.float32 or not 2 <= value.dim() <= 4:
        return False
    first, *others = value.shape
    begins = isinstance(first, torch.SymInt) and first.node.expr == batch
    return begins and all(isinstance(size, int) for size in others)
