"""One graph with some of its calls taken from another that was made of it: only what depends on them is run again."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import torch

from workbench.errors import EngineError

if TYPE_CHECKING:
    from workbench.workload import Inputs

Node = torch.fx.Node


class Looked:
    """What a graph makes of some inputs, value by value, and what its output becomes where calls are another graph's.

    Both graphs have the same calls by the same names; ``other`` may have more before them, as quantize/dequantize
    pairs, and other constants. Neither changes a tensor in place (:func:`without_writes`).

    Parameters
    ----------
    graph
        The one that is run.
    other
        The one that calls are taken from.
    inputs
        [batch, …] each.
    """

    def __init__(self, graph: torch.fx.GraphModule, other: torch.fx.GraphModule, inputs: Inputs) -> None:
        self._graph, self._other = graph.graph, torch.fx.Interpreter(other)
        self._own = torch.fx.Interpreter(graph, garbage_collect_values=False)
        with torch.no_grad():
            self.outputs: torch.Tensor = self._own.run(*inputs)
        self._kept = self._own.env
        self._nodes = {node.name: node for node in graph.graph.nodes}
        self._others = {node.name: node for node in other.graph.nodes}

    @property
    def kept_bytes(self) -> int:
        """How much memory the values take that depend on the inputs; what two share counts twice."""
        found, depending = 0, set()
        for node, value in self._kept.items():
            if node.op == "placeholder" or not depending.isdisjoint(node.all_input_nodes):
                depending.add(node)
                found += value.nbytes if isinstance(value, torch.Tensor) else 0
        return found

    def value(self, call: str) -> torch.Tensor:
        """What the graph's own call gives."""
        return self._kept[self._nodes[call]]

    def taken(self, call: str) -> torch.Tensor:
        """What the other graph's call makes of this graph's values."""
        with torch.no_grad():
            return self._taken(call, self._kept)

    @torch.no_grad()
    def swapped(self, calls: Collection[str], shifts: Mapping[str, torch.Tensor] | None = None) -> torch.Tensor:
        """The output where ``calls`` are the other graph's; what is in ``shifts`` is added to what those give."""
        changed: dict[Node, object] = {}
        self._own.env = values = ChainMap(changed, self._kept)
        for node in self._graph.nodes:
            if node.name in calls:
                changed[node] = self._taken(node.name, values)
                if shifts and node.name in shifts:
                    changed[node] = changed[node] + shifts[node.name]
            elif not changed.keys().isdisjoint(node.all_input_nodes):
                changed[node] = self._own.run_node(node)
                if node.op == "output":
                    return self._graph.process_outputs(changed[node])
        return self.outputs  # nothing that is given out depends on them

    def _taken(self, call: str, values: Mapping[Node, object]) -> torch.Tensor:
        shared, between = self._before(self._others[call])
        self._other.env = {node: values[self._nodes[node.name]] for node in shared}
        for node in between:
            self._other.env[node] = self._other.run_node(node)
        return self._other.env[between[-1]]

    def _before(self, call: Node) -> tuple[list[Node], list[Node]]:
        """The nodes that both graphs have and the call depends on, and those from there to the call, in order."""
        shared, between, waiting = [], {call}, [call]
        while waiting:
            for node in waiting.pop().all_input_nodes:
                if node.op != "get_attr" and node.name in self._nodes:
                    shared.append(node)
                elif node not in between:
                    between.add(node)
                    waiting.append(node)
        return shared, [node for node in self._other.module.graph.nodes if node in between]


def without_writes(graph: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """``graph`` with calls that change a tensor in place as those that give a new one; the given one is changed.

    Raises
    ------
    EngineError
        A call has no such form.
    """
    for node in graph.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if schema is None or not schema.is_mutable:
            continue
        packet = getattr(torch.ops.aten, schema.name.removeprefix("aten::").removesuffix("_"), None)
        overload = schema.overload_name or "default"
        if not schema.name.endswith("_") or packet is None or overload not in packet.overloads():
            raise EngineError(f"{node.target} changes a tensor in place and has no other form")
        node.target = getattr(packet, overload)
        node.args[0].replace_all_uses_with(node, lambda user, node=node: user is not node and node < user)
    graph.recompile()
    return graph
