"""The constants of a graph module, read and written by name."""

from __future__ import annotations

import itertools
import operator

import torch


def constant_of(graph: torch.fx.GraphModule, node: torch.fx.Node | None) -> torch.Tensor | None:
    """The tensor that a ``get_attr`` node stands for; None for none."""
    return None if node is None else operator.attrgetter(node.target)(graph).detach()


def is_constant(node: object) -> bool:
    """Whether it is a node that reads one of the module's own tensors."""
    return isinstance(node, torch.fx.Node) and node.op == "get_attr"


def keep_constant(graph: torch.fx.GraphModule, name: str, tensor: torch.Tensor) -> None:
    """Keep ``tensor`` under the qualified ``name``, in place of what is there."""
    owner, attribute = _owner(graph, name)
    if hasattr(owner, attribute):
        delattr(owner, attribute)
    owner.register_parameter(attribute, torch.nn.Parameter(tensor.detach().contiguous(), requires_grad=False))


def keep_buffer(graph: torch.fx.GraphModule, name: str, tensor: torch.Tensor) -> None:
    """Keep ``tensor``, of any dtype, in place of what is under the qualified ``name``, as a buffer."""
    owner, attribute = _owner(graph, name)
    delattr(owner, attribute)
    owner.register_buffer(attribute, tensor.contiguous())


def unused_name(graph: torch.fx.GraphModule, name: str) -> str:
    """``name``, or the first of ``name_2``, ``name_3``, … where it is taken."""
    path = name.rpartition(".")[0]
    owner, attribute = _owner(graph, name)
    taken = dir(owner)
    numbered = (f"{attribute}_{number}" for number in itertools.count(2))
    free = next(each for each in itertools.chain([attribute], numbered) if each not in taken)
    return f"{path}.{free}".lstrip(".")


def _owner(graph: torch.fx.GraphModule, name: str) -> tuple[torch.nn.Module, str]:
    """The module that has, or is to have, a constant of this name, and what it is called there."""
    path, _, attribute = name.rpartition(".")
    if path not in dict(graph.named_modules()):
        graph.add_submodule(path, torch.nn.Module())
    return graph.get_submodule(path), attribute
