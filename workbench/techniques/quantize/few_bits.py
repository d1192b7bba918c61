"""Weights in fewer bits than the activations that they are multiplied by: kernels for bytes run them as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from workbench.graph import layer_of
from workbench.precisions import Integers
from workbench.techniques.quantize.calls import CONVOLUTIONS, LINEAR, TRANSPOSED
from workbench.techniques.quantize.constants import (
    constant_of,
    is_constant,
    keep_buffer,
    keep_constant,
    unused_name,
)
from workbench.techniques.quantize.groups import Groups
from workbench.techniques.quantize.learned_rounding import inputs_of_channels, learned
from workbench.techniques.quantize.rounding import Rounded, known, rounded
from workbench.workload import Inputs


@dataclass(frozen=True)
class _Weight:
    """A weight as it was and rounded: whole numbers of its shape, and the scales of its output channels."""

    exact: torch.Tensor
    numbers: torch.Tensor
    scales: torch.Tensor
    axis: int

    @property
    def values(self) -> torch.Tensor:
        along = [1] * self.numbers.dim()
        along[self.axis] = -1
        return self.numbers * self.scales.view(along)


class FewBits(torch.fx.Interpreter):
    """Rounds the weights of a graph's calls that it ``takes``, and has them so in the quantized graph.

    A layer's weight that was trained to be ``numbers`` times scales stays what it is.

    Between :meth:`round` and :meth:`put` the graph computes with the rounded weights, so that ranges of activations are
    found for these.
    """

    def __init__(
        self,
        graph: torch.fx.GraphModule,
        formats: Integers,
        *,
        takes: Callable[[str | None], bool],
        numbers: Mapping[str, torch.Tensor],
        checkpoint: Callable[[], None],
    ) -> None:
        super().__init__(graph)
        self._formats, self._takes, self._trained, self._checkpoint = formats, takes, numbers, checkpoint
        self._found: dict[str, _Weight] = {}  # by weight: layers may share one
        self._calls: dict[str, _Weight] = {}

    def round(self, examples: Inputs | None) -> None:
        """Round the weights, in place: so that outputs for the examples move least, or each to the nearest number."""
        graph = self.module
        with torch.no_grad():
            if examples:
                self.run(*(each.clone() for each in examples))
            for node in filter(self._is_taken, list(graph.graph.nodes)):
                weight = self._calls[node.name] = self._rounded(node, None)
                name = unused_name(graph, node.args[1].target)
                keep_constant(graph, name, weight.values)
                with graph.graph.inserting_before(node):
                    node.update_arg(1, graph.graph.get_attr(name))
        graph.recompile()

    def put(self, quantized: torch.fx.GraphModule) -> None:
        """Give the calls of ``quantized``, that was made of the graph, the numbers found; in place."""
        for node in quantized.graph.nodes:
            weight = self._calls.get(node.name)
            if weight is None:
                continue
            if is_constant(node.args[1]):  # it wasn't quantized after all
                keep_constant(quantized, node.args[1].target, weight.exact)
                continue
            values, scales, *_ = node.args[1].args
            keep_buffer(quantized, values.target, weight.numbers.to(torch.int8))
            keep_buffer(quantized, scales.target, weight.scales)

    def run_node(self, node: torch.fx.Node):
        if not self._is_taken(node):
            return super().run_node(node)
        self._checkpoint()
        (inputs, _, *others), _ = self.fetch_args_kwargs_from_env(node)
        return node.target(inputs, self._rounded(node, inputs).values, *others)

    def _is_taken(self, node: torch.fx.Node) -> bool:
        return node.target in (LINEAR, *CONVOLUTIONS) and is_constant(node.args[1]) and self._takes(layer_of(node))

    def _rounded(self, node: torch.fx.Node, inputs: torch.Tensor | None) -> _Weight:
        name = node.args[1].target
        if name not in self._found:
            exact = constant_of(self.module, node.args[1])
            axis = 1 if node.target in TRANSPOSED else 0
            groups = Groups.sharing(self._formats, axis, 0)
            rows, trained = groups.of(exact), self._trained.get(layer_of(node))
            done = None if trained is None else known(rows, groups.of(trained))
            seen = None if inputs is None or done or groups.whole else inputs_of_channels(node, inputs, exact)
            numbers, scales = done or self._of_channels(rows, seen)
            whole_numbers, scales = groups.back(numbers, exact).contiguous(), groups.by_channel(scales, exact)
            self._found[name] = _Weight(exact, whole_numbers, scales, axis)
        return self._found[name]

    def _of_channels(self, weights: torch.Tensor, seen: list[torch.Tensor] | None) -> Rounded:
        """Numbers [channels, 1, weights of each], and their scales [channels, 1]."""
        if seen is None:
            return rounded(weights, self._formats)
        parts = zip(weights.chunk(len(seen)), seen, strict=True)
        numbers, scales = zip(*(learned(part, self._formats, inputs) for part, inputs in parts), strict=True)
        return torch.cat(numbers), torch.cat(scales)
