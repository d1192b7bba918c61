"""Where a model is cut, so that what no kernel takes is run by PyTorch and the rest stays native.

Nodes that depend on the same inputs make a branch. Within it a cut is made only where a single float tensor [batch, …]
of it crosses: what lies between two such places is a block, and a block is run by one of the two as a whole.
Neighbouring blocks of a kind make a piece. What a branch gets from others may be read by any of its blocks. What
masks of scores are computed by is set aside first: these are read all along.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.errors import EngineError
from workbench.graph.fused.ir import Graph
from workbench.graph.fused.nodes import (
    attribute,
    batch_of,
    batch_symbol,
    free_nodes,
    inputs_of,
    is_dequantization,
    operator_of,
    traced,
    unneeded_nodes,
)
from workbench.graph.fused.ops import Weighted
from workbench.graph.fused.read.attention import hides_scores
from workbench.graph.fused.read.reader import Reader
from workbench.graph.fused.read.writes import names_of, sharing_memory, written_by
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import sympy
    import torch
else:
    torch = lazy("torch")

TOO_LITTLE = "this piece has no layer with weights, so a program of its own would cost more than it saves"
_OTHER_TENSORS = (
    "a native program takes [batch, …] of floats, tokens or masks and gives one tensor of float32, and this piece does "
    "something else"
)
MASKS = "masks of scores are computed once, by PyTorch, and read by native attention"
_LOOKS_UP = "aten.embedding.default"
_LEAST_SHARE = 0.5
"""Of the multiplications in layers with weights: with less than that native, a peer that runs the whole is faster."""
_LEAST_BESIDE_IMITATED = 0.9
"""The same where PyTorch would imitate integers in what is left to it, which takes it longer than floats. A sentence
encoder with three quarters native in int8 and the rest imitated took 1.2 times as long as in fp32, peers a quarter."""


@dataclass
class Block:
    """Nodes that are run together. ``reason``: why they can't be native; empty where they can."""

    nodes: list[torch.fx.Node]
    reads: list[torch.fx.Node]
    """What of others they depend on, inputs included."""
    gives: dict[torch.fx.Node, set[torch.fx.Node]]
    """What they make for others, and who reads it."""
    reason: str = ""


@dataclass
class Piece:
    """Blocks in a row. ``graph`` is what the native engine runs; ``None`` where PyTorch does."""

    blocks: list[Block]
    graph: Graph | None = field(default=None, repr=False)

    @property
    def nodes(self) -> list[torch.fx.Node]:
        return [node for block in self.blocks for node in block.nodes]

    @property
    def sources(self) -> list[torch.fx.Node]:
        """What it takes of others."""
        inside = set(self.nodes)
        return list(dict.fromkeys(node for block in self.blocks for node in block.reads if node not in inside))

    @property
    def results(self) -> list[torch.fx.Node]:
        """What it gives to others."""
        inside = set(self.nodes)
        return [node for block in self.blocks for node, readers in block.gives.items() if not readers <= inside]


def cut(module: torch.fx.GraphModule) -> list[Piece]:
    """The model as native pieces and pieces that PyTorch runs, in turn.

    Raises
    ------
    EngineError
        Where nothing of it is worth running native; with the first operation that has no kernel.
    """
    aside, blocks = _blocks(module)
    pieces = [Piece([aside])] if aside else []
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
    native = sum(_work(module, node) for piece in pieces if piece.graph is not None for node in piece.nodes)
    others = [node for piece in pieces if piece.graph is None for node in piece.nodes]
    left = sum(_work(module, node) for node in others)
    imitates = any(is_dequantization(each) for node in others if _work(module, node) for each in node.all_input_nodes)
    least = _LEAST_BESIDE_IMITATED if imitates else _LEAST_SHARE
    if native == 0 or native < least * (native + left):
        reasons = [block.reason for piece in pieces if piece.graph is None for block in piece.blocks]
        first = next((reason for reason in reasons if reason != TOO_LITTLE), TOO_LITTLE)
        raise EngineError(f"{first}; too little of the model is left to run native")
    return pieces


def _work(module: torch.fx.GraphModule, node: torch.fx.Node) -> int:
    """Multiplications of a node with weights, for one example."""
    result = traced(node)
    result = result[0] if isinstance(result, (tuple, list)) else result
    if not isinstance(result, torch.Tensor) or operator_of(node) == _LOOKS_UP:
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
    reader, batch, readable = Reader(module), batch_symbol(module.graph), 0
    try:
        for block in blocks:
            for source in block.reads if readable else _or_first_input(module, block.reads):
                if source not in reader.known:
                    if not _may_enter(source, batch):
                        raise EngineError(_OTHER_TENSORS)
                    reader.take(source)
            for node in block.nodes:
                reader.visit(node)
            readable += 1
    except EngineError as error:
        blocks[readable].reason = str(error)
    for count in range(readable, 0, -1):
        piece = Piece(blocks[:count])
        if len(piece.results) != 1 or _changes_what_others_read(piece):
            blocks[0].reason = _OTHER_TENSORS
            continue
        try:
            piece.graph = _read(module, piece)
        except EngineError as error:  # its result lies in memory in an order that only a kernel understands
            blocks[0].reason = str(error)
        else:
            return piece
    return None


def _or_first_input(module: torch.fx.GraphModule, sources: list[torch.fx.Node]) -> list[torch.fx.Node]:
    """What a program takes, which is the model's first input where it depends on nothing."""
    return sources or inputs_of(module.graph)[:1]


def _read(module: torch.fx.GraphModule, piece: Piece) -> Graph:
    reader = Reader(module)
    for source in _or_first_input(module, piece.sources):
        reader.take(source)
    for node in piece.nodes:
        reader.visit(node)
    return reader.graph(piece.results[0])


def _changes_what_others_read(piece: Piece) -> bool:
    """Whether it changes in place what it takes, and others read that afterwards: a program changes nothing."""
    inside = set(piece.nodes)
    for node in piece.nodes:
        if inside.issuperset(names_of(node)):
            continue
        before = [each for each in sharing_memory(node) if each < node and each not in inside]
        if any(user > node and user not in inside for each in before for user in each.users):
            return True
    return False


def _blocks(module: torch.fx.GraphModule) -> tuple[Block | None, list[Block]]:
    """What makes masks of scores, and the rest of the model between all the places where it may be cut, in an order in
    which it can be run."""
    free = free_nodes(module.graph) | unneeded_nodes(module.graph)
    masks = _makes_masks(module, free)
    branches = _branches(module, free, masks)
    if _changes_would_be_missed([masks, *branches]):
        masks, branches = [], [sorted(node for branch in [masks, *branches] for node in branch)]
    aside = _block(masks, free) if masks else None
    if aside:
        aside.reason = MASKS
    return aside, [block for branch in branches for block in _cut_branch(branch, free)]


def _makes_masks(module: torch.fx.GraphModule, free: set[torch.fx.Node]) -> list[torch.fx.Node]:
    """The nodes that masks of scores are computed by, where no layer with weights is among them."""
    batch = batch_symbol(module.graph)
    found: set[torch.fx.Node] = set()
    for node in module.graph.nodes:
        if node.op == "call_function" and node not in free and hides_scores(node) and _is_of_examples(node, batch):
            before = _computes(node, free)
            if not any(_work(module, each) for each in before):
                found |= before
    return sorted(found)


def _computes(node: torch.fx.Node, free: set[torch.fx.Node]) -> set[torch.fx.Node]:
    """The node, and all that it is computed from."""
    found, waiting = set(), [node]
    while waiting:
        each = waiting.pop()
        if each.op == "call_function" and each not in free and each not in found:
            found.add(each)
            waiting += each.all_input_nodes
    return found


def _branches(
    module: torch.fx.GraphModule, free: set[torch.fx.Node], made: list[torch.fx.Node]
) -> list[list[torch.fx.Node]]:
    """Nodes that depend on the same inputs, or on what was ``made`` before.

    Branches of fewer inputs first, as others may need them; of as many, those without layers first: PyTorch runs these,
    and between two native ones they would part a program.
    """
    inputs, before = inputs_of(module.graph), set(made)
    depends = {node: frozenset([node]) for node in (*inputs, *made)}
    found: dict[frozenset[torch.fx.Node], list[torch.fx.Node]] = {}
    for node in module.graph.nodes:
        if node.op == "call_function" and node not in free and node not in before:
            on = frozenset().union(*(depends[used] for used in _reads(node, free))) or frozenset(inputs)
            depends[node] = on
            found.setdefault(on, []).append(node)
    layers = {on for on, nodes in found.items() if any(_is_layer(module, node) for node in nodes)}
    return [found[on] for on in sorted(found, key=lambda on: (len(on), on in layers))]


def _is_layer(module: torch.fx.GraphModule, node: torch.fx.Node) -> bool:
    return operator_of(node) == _LOOKS_UP or _work(module, node) > 0


def _changes_would_be_missed(branches: list[list[torch.fx.Node]]) -> bool:
    """Whether what is changed in place would be read before that in this order and after it in the model's, or so."""
    place = {node: number for number, node in enumerate(node for branch in branches for node in branch)}
    for node in place:
        if written_by(node) is None:
            continue
        users = {user for each in sharing_memory(node) for user in each.users if user in place}
        if any((user < node) != (place[user] < place[node]) for user in users):
            return True
    return False


def _cut_branch(branch: list[torch.fx.Node], free: set[torch.fx.Node]) -> list[Block]:
    """A branch between the places where a single tensor of its own is all of it that is still needed.

    So is the tensor that it takes of others, where that is one; of several, each is at hand wherever it is read.
    """
    batch = batch_symbol(branch[0].graph)
    whole = _block(branch, free)
    last_use = {used: place for place, node in enumerate(branch) for used in _reads(node, free)}
    alive = set(whole.reads) if len(whole.reads) == 1 else set()
    given: set[torch.fx.Node] = set()
    blocks: list[Block] = []
    since: list[torch.fx.Node] = []
    for place, node in enumerate(branch):
        since.append(node)
        owed = whole.gives.keys() - given
        alive = {each for each in (*alive, node) if last_use.get(each, -1) > place or each in owed}
        crossing = next(iter(alive)) if len(alive) == 1 else None
        if crossing and crossing not in {*whole.reads, *given} and _may_cross(crossing, batch):
            blocks.append(_block(since, free))
            given.add(crossing)
            since = []
    return [*blocks, _block(since, free)] if since else blocks


def _block(nodes: list[torch.fx.Node], free: set[torch.fx.Node]) -> Block:
    inside = set(nodes)
    reads = dict.fromkeys(used for node in nodes for used in _reads(node, free) if used not in inside)
    gives = {node: readers for node in nodes if (readers := _readers(node, free) - inside)}
    return Block(nodes, list(reads), gives)


def _reads(node: torch.fx.Node, free: set[torch.fx.Node]) -> list[torch.fx.Node]:
    """What it depends on that isn't the same at each call."""
    return [used for used in node.all_input_nodes if used not in free]


def _readers(node: torch.fx.Node, free: set[torch.fx.Node]) -> set[torch.fx.Node]:
    return {user for user in node.users if user.op in ("call_function", "output") and user not in free}


def _may_enter(node: torch.fx.Node, batch: sympy.Symbol | None) -> bool:
    """Whether a program may take it: an input of the model, floats, tokens, or a mask of scores."""
    if node.op == "placeholder":
        return True
    value = traced(node)
    tokens = isinstance(value, torch.Tensor) and value.dtype in (torch.int64, torch.int32) and value.dim() == 2
    return _may_cross(node, batch) or ((tokens or hides_scores(node)) and _is_of_examples(node, batch))


def _may_cross(node: torch.fx.Node, batch: sympy.Symbol | None) -> bool:
    """Whether a program may begin with this tensor: float32 [batch, …] with the batch its only free size."""
    value = traced(node)
    return isinstance(value, torch.Tensor) and value.dtype is torch.float32 and _is_of_examples(node, batch)


def _is_of_examples(node: torch.fx.Node, batch: sympy.Symbol | None) -> bool:
    """Whether it gives [batch, …] of one to three fixed sizes.

    The batch may be a multiple of the model's, as where both of a pair go through one encoder.
    """
    value, examples = traced(node), batch_of(node)
    plain = examples is not None and batch is not None and (examples / batch).is_Integer
    return plain and 2 <= value.dim() <= 4 and all(isinstance(size, int) for size in value.shape[1:])
