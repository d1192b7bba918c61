"""What a model changes in place, and which of its names stand for the changed memory."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from workbench.errors import EngineError
from workbench.graph import layer_of
from workbench.graph.fused.nodes import free_nodes, is_overload, operator_of, writes_numbers

if TYPE_CHECKING:
    import torch

_MAY_GIVE_BACK = ("aten.dropout.default", "aten.feature_dropout.default", "aten.alpha_dropout.default")
"""Operators that may return their input itself without that their schema says so."""


def written_by(node: torch.fx.Node) -> torch.fx.Node | None:
    """The tensor that an operator changes in place."""
    if not writes_numbers(node):
        return None
    for place, argument in enumerate(node.target._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            return node.args[place] if place < len(node.args) else node.kwargs.get(argument.name)
    return None


def names_of(node: torch.fx.Node) -> list[torch.fx.Node]:
    """All the nodes that stand for the tensor that ``node`` changed in place."""
    names = []
    written = written_by(node)
    while written is not None:
        names.append(written)
        written = written_by(written)
    return names


def is_seen_otherwise(node: torch.fx.Node) -> bool:
    """Whether what ``node`` changed in place is read later through another look at the same memory."""
    names = names_of(node)
    if not names:
        return False
    others = [other for other in sharing_memory(node) if other < node and other not in names]
    return any(user > node for other in others for user in other.users)


def sharing_memory(node: torch.fx.Node) -> set[torch.fx.Node]:
    """The nodes whose results may lie in the memory of its own, itself included."""
    found: set[torch.fx.Node] = set()
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += [user for user in each.users if _shares_memory(user)]
            waiting += each.args[:1] if _shares_memory(each) else []
    return found


def _shares_memory(node: torch.fx.Node) -> bool:
    """Whether its result may lie in the memory of its first argument."""
    if operator_of(node) in (*_MAY_GIVE_BACK, operator.getitem):
        return True
    return is_overload(node) and any(each.alias_info is not None for each in node.target._schema.returns)


def refuse_changed_constants(graph: torch.fx.Graph) -> None:
    """:class:`EngineError` where the model changes a buffer or a constant in place: these are computed once here."""
    free = free_nodes(graph)
    for node in graph.nodes:
        if written_by(node) in free:
            where = layer_of(node) or "in the model's own forward"
            raise EngineError(
                f"the native engine keeps constants as they are, and {node.target} changes one in place ({where}); "
                "compute it anew instead"
            )
