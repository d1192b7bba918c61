"""What rounding shifts each layer's outputs by on average, taken back by its bias.

After Nagel et al., "Data-Free Quantization through Weight Equalization and Bias Correction", 2019, arXiv:1906.04721,
section 4.2, with means of examples in place of those that a normalisation tells.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection

import torch

from workbench.graph import layer_of
from workbench.techniques.quantize.calls import CONVOLUTIONS, LINEAR
from workbench.techniques.quantize.constants import constant_of, is_constant, keep_constant, unused_name
from workbench.workload import Inputs


@torch.no_grad()
def correct_biases(
    quantized: torch.fx.GraphModule,
    exact: torch.fx.GraphModule,
    inputs: Inputs,
    parameters: Collection[str],
    checkpoint: Callable[[], None],
) -> None:
    """Give the calls of ``quantized`` whose weights are rounded the mean outputs that ``exact`` has; changes it.

    ``exact`` is the graph that was quantized: calls have the same names in both. Layer after layer, so that what those
    before still shift is taken back too. A bias keeps its name; a layer without one has it under the name that a folded
    normalisation's has, if its weight is among the model's ``parameters``: who counts a layer's bytes goes by names.
    """
    means = _Means(exact, checkpoint)
    _run(means, inputs)
    shifts = _Shifts(quantized, means.by_name, checkpoint)
    _run(shifts, inputs)
    constants = quantized.graph.find_nodes(op="get_attr")
    readers = Counter(node.target for node in constants for _ in node.users)
    for node in list(quantized.graph.nodes):
        shift = shifts.by_name.get(node.name)
        if shift is None:
            continue
        _, _, bias, *others = (*node.args, None) if len(node.args) < 3 else node.args
        if bias is not None and readers[bias.target] == 1:
            keep_constant(quantized, bias.target, shift + constant_of(quantized, bias))
            continue
        layer = layer_of(node)
        if bias is None and f"{layer}.weight" not in parameters:
            continue
        name = unused_name(quantized, f"{layer}.weight_bias" if bias is None else bias.target)
        keep_constant(quantized, name, shift if bias is None else shift + constant_of(quantized, bias))
        with quantized.graph.inserting_before(node):
            node.args = (*node.args[:2], quantized.graph.get_attr(name), *others)
    quantized.recompile()


def _run(interpreter: torch.fx.Interpreter, inputs: Inputs) -> None:
    with torch.random.fork_rng(devices=[]):  # a model that draws random numbers draws the same each time
        torch.manual_seed(0)
        interpreter.run(*(each.clone() for each in inputs))  # it may work in place


class _Means(torch.fx.Interpreter):
    """The mean output of each channel of each call with weights."""

    def __init__(self, graph: torch.fx.GraphModule, checkpoint: Callable[[], None]) -> None:
        super().__init__(graph)
        self.by_name: dict[str, torch.Tensor] = {}
        self._checkpoint = checkpoint

    def run_node(self, node: torch.fx.Node):
        result = super().run_node(node)
        if node.target in (LINEAR, *CONVOLUTIONS):
            self._checkpoint()
            self.by_name[node.name] = channel_means(node, result)
        return result


class _Shifts(torch.fx.Interpreter):
    """By how much each rounded call's mean output falls short of what it should be, those before it corrected."""

    def __init__(
        self, graph: torch.fx.GraphModule, wanted: dict[str, torch.Tensor], checkpoint: Callable[[], None]
    ) -> None:
        super().__init__(graph)
        self.by_name: dict[str, torch.Tensor] = {}
        self._wanted, self._checkpoint = wanted, checkpoint

    def run_node(self, node: torch.fx.Node):
        result = super().run_node(node)
        if node.name not in self._wanted or not is_correctable(node):
            return result
        self._checkpoint()
        shift = self._wanted[node.name] - channel_means(node, result)
        if not shift.isfinite().all():
            return result
        self.by_name[node.name] = shift
        return result + over_channels(node, shift, result)


def is_correctable(node: torch.fx.Node) -> bool:
    """Whether its weights are rounded, and its bias is absent or a constant."""
    bias = node.args[2] if len(node.args) > 2 else None
    return "dequantize" in str(node.args[1].target) and (bias is None or is_constant(bias))


def channel_means(node: torch.fx.Node, outputs: torch.Tensor) -> torch.Tensor:
    """Of a linear call's or a convolution's outputs, float32 [channels]."""
    if node.target is LINEAR:
        return outputs.flatten(0, -2).mean(0)
    return outputs.transpose(0, 1).flatten(1).mean(1)


def over_channels(node: torch.fx.Node, values: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
    """A value for each channel, [channels], in the shape in which it is added to the call's outputs."""
    return values if node.target is LINEAR else values.view(-1, *[1] * (outputs.dim() - 2))
