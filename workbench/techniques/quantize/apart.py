"""Single layers in fewer bits, the others as they are, and the other way round: what each costs the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from workbench import precisions
from workbench.errors import EngineError, WorkbenchError
from workbench.graph.layers import in_graph
from workbench.graph.swapping import Looked, without_writes
from workbench.precisions import Precision
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.techniques.quantize.bias_correction import channel_means, over_channels
from workbench.techniques.quantize.calls import CONVOLUTIONS, LINEAR
from workbench.techniques.quantize.reduced import DEQUANTIZE, QUANTIZE
from workbench.techniques.quantize.sample import Sample, relative_distance
from workbench.workload import Inputs, rows

_SAME = 1e-3
"""What another order of sums may change of a model's outputs, relative to their norm."""
_AT_ONCE = 16


@dataclass(frozen=True)
class Apart:
    """A model's graph as it is and with all layers in one scheme, which are swapped for each other layer by layer.

    ``calls`` are the names of each layer's calls that have a form in the scheme, ``errors`` how far each layer's own
    outputs are off, ‖its output − the exact‖₂ / ‖the exact‖₂, given exact inputs, on examples to learn from, and
    ``shifts`` what is added to each call's outputs so that their mean stays. ``unlike`` says why a layer that has a
    form in the scheme is left as it is.
    """

    exact: torch.fx.GraphModule
    quantized: torch.fx.GraphModule
    calls: Mapping[str, tuple[str, ...]]
    errors: Mapping[str, float]
    shifts: Mapping[str, torch.Tensor]
    unlike: Mapping[str, str]

    @property
    def layers(self) -> tuple[str, ...]:
        """All layers that multiply with a weight, in execution order, quantized or not."""
        return tuple(dict.fromkeys(each.name for each in in_graph(self.exact.graph) if each.weighs))

    def looked(self, inputs: Inputs) -> Looked:
        """The exact graph on ``inputs`` [batch, …]."""
        return Looked(self.exact, self.quantized, _arranged(inputs))

    def looked_quantized(self, inputs: Inputs) -> Looked:
        """The quantized graph on ``inputs`` [batch, …]."""
        return Looked(self.quantized, self.exact, _arranged(inputs))

    def only(self, looked: Looked, layer: str) -> torch.Tensor:
        """The outputs where this layer alone is quantized, its bias corrected by itself; of :meth:`looked`."""
        return looked.swapped(self.calls[layer], self.shifts)

    def all_but(self, looked: Looked, layer: str) -> torch.Tensor:
        """The outputs where all layers are quantized but this; of :meth:`looked_quantized`."""
        return looked.swapped(self.calls[layer])


def apart(step: Quantize, module: torch.nn.Module, context: Context) -> Apart:
    """Quantize ``module`` as ``step`` says, to look at its layers one by one.

    Rounding that is learned is learned of all layers, one after the other, as where all are quantized.

    Raises
    ------
    WorkbenchError
        Nothing in the model can be quantized this way.
    EngineError
        The model can't be exported, or changes in place what it reads elsewhere.
    """
    if reason := step.blocked(module):
        raise WorkbenchError(reason)
    original, quantized, _ = step.graphs(module, context)
    exact, quantized = without_writes(original.graph()), without_writes(quantized)
    if not original.sample.distance(original.sample.outputs_of(exact)) <= _SAME:
        raise EngineError("the model changes in place what it reads elsewhere, so that no layer can be swapped alone")
    calls = _calls(quantized, precisions.find(step.scheme))
    _round_at_once(quantized)
    errors, shifts = _own(exact, quantized, calls, original.sample, context.checkpoint)
    learns = step.correct_biases and original.sample.teaches
    unlike = {layer: f"kept in fp32: {columns}" for layer, columns in original.unlike.items()}
    return Apart(exact, quantized, calls, errors, shifts if learns else {}, unlike)


def _arranged(inputs: Inputs) -> Inputs:
    """Images as convolutions compute fastest."""
    return tuple(each.contiguous(memory_format=torch.channels_last) if each.dim() == 4 else each for each in inputs)


def _round_at_once(graph: torch.fx.GraphModule) -> None:
    """Quantize and dequantize with a scale for the whole tensor in one call, which takes a quarter of the time."""
    for node in list(graph.graph.nodes):
        if node.target is not DEQUANTIZE or node.args[0].target is not QUANTIZE:
            continue
        values, *numbers = node.args[0].args
        if numbers == list(node.args[1:]) and all(isinstance(each, int | float) for each in numbers[:4]):
            node.target, node.args = torch.fake_quantize_per_tensor_affine, (values, *numbers[:4])
    graph.graph.eliminate_dead_code()
    graph.recompile()


def _calls(graph: torch.fx.GraphModule, formats: Precision) -> dict[str, tuple[str, ...]]:
    """By layer, in execution order, its calls that are quantized."""
    found: dict[str, tuple[str, ...]] = {}
    for each in in_graph(graph.graph, weights_only=lambda _: formats.weights_only):
        if each.quantized:
            found[each.name] = (*found.get(each.name, ()), each.call)
    return found


@torch.no_grad()
def _own(
    exact: torch.fx.GraphModule,
    quantized: torch.fx.GraphModule,
    calls: Mapping[str, tuple[str, ...]],
    sample: Sample,
    checkpoint: Callable[[], None],
) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    """Of each layer the error of its own outputs; of each call what is added so that their mean stays what it was."""
    inputs, nodes = sample.at_once, {node.name: node for node in quantized.graph.nodes}
    errors, shifts = dict.fromkeys(calls, 0.0), {}
    for part in torch.arange(len(inputs[0])).split(_AT_ONCE):
        looked = Looked(exact, quantized, rows(inputs, part))
        for layer, names in calls.items():
            checkpoint()
            for name in names:
                wanted, found = looked.value(name), looked.taken(name)
                if node_has_channels := nodes[name].target in (LINEAR, *CONVOLUTIONS):
                    shift = channel_means(nodes[name], wanted - found)
                    shifts[name] = shifts.get(name, 0.0) + over_channels(nodes[name], shift, found) * len(part)
                wanted, found = (wanted, found) if node_has_channels else (wanted[0], found[0])
                errors[layer] = max(errors[layer], relative_distance(found, wanted))
    means = {name: shift / len(inputs[0]) for name, shift in shifts.items()}
    return errors, {name: mean for name, mean in means.items() if mean.isfinite().all()}
