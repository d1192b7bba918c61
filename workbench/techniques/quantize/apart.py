"""Single layers in fewer bits, the others as they are, and the other way round: what each costs the model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch

from workbench import precisions
from workbench.errors import EngineError, WorkbenchError
from workbench.graph.layers import in_graph
from workbench.graph.swapping import Looked, without_writes
from workbench.precisions import Precision
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.techniques.quantize.bias_correction import channel_means, is_correctable, over_channels
from workbench.techniques.quantize.calls import CONVOLUTIONS, LINEAR
from workbench.techniques.quantize.reduced import DEQUANTIZE, QUANTIZE
from workbench.techniques.quantize.sample import Sample
from workbench.techniques.quantize.working import SAME
from workbench.workload import Inputs, rows

_AT_ONCE = 16


@dataclass(frozen=True)
class Apart:
    """A model's graph as it is and with all layers in one scheme, which are swapped for each other layer by layer.

    ``calls`` are the names of each layer's calls that have a form in the scheme, ``errors`` how far each layer's own
    outputs are off, ‖its output − the exact‖₂ / ‖the exact‖₂, given exact inputs, on examples to learn from, NaN where
    they are no numbers; ``shifts`` what is added to a call's outputs so that their mean stays. ``unlike`` says why a
    layer that has a form in the scheme is left as it is.
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
        """The outputs where all layers are quantized but this; of :meth:`looked_quantized`.

        Biases of the others are as they were corrected with this one quantized too.
        """
        return looked.swapped(self.calls[layer])


def apart(step: Quantize, module: torch.nn.Module, context: Context) -> Apart:
    """Quantize ``module`` as ``step`` says, to look at its layers one by one.

    Rounding that is learned is learned of all layers, one after the other, as where all are quantized.

    Raises
    ------
    WorkbenchError
        Nothing in the model can be quantized this way.
    EngineError
        The model can't be exported, changes in place what it reads elsewhere, or draws random numbers.
    """
    if reason := step.blocked(module):
        raise WorkbenchError(reason)
    working = step.working(module, context)
    quantized, _ = working.quantized
    exact, quantized = without_writes(working.graph()), without_writes(quantized)
    sample = working.sample
    outputs = sample.outputs_of(exact)
    if not sample.distance(outputs) <= SAME:
        raise EngineError("the model changes in place what it reads elsewhere, so that no layer can be swapped alone")
    with torch.no_grad():
        again = exact(*sample.batches[0])  # by other random numbers, if it takes any
    if not torch.equal(outputs, again):
        raise EngineError("the model draws random numbers, so that what a layer costs can't be told from chance")
    calls = _calls(quantized, precisions.find(step.scheme))
    _round_at_once(quantized)
    own = _Own(exact, quantized, calls, sample, context.checkpoint)
    shifts = own.shifts() if step.correct_biases and sample.teaches else {}
    unlike = {layer: f"kept in fp32: {columns}" for layer, columns in working.unlike.items()}
    return Apart(exact, quantized, calls, own.errors(shifts), shifts, unlike)


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
        if each.quantized and each.weighs:
            found[each.name] = (*found.get(each.name, ()), each.call)
    return found


class _Own:
    """What rounding does to the outputs of single calls that are given exact inputs, on examples to learn from."""

    def __init__(
        self,
        exact: torch.fx.GraphModule,
        quantized: torch.fx.GraphModule,
        calls: Mapping[str, tuple[str, ...]],
        sample: Sample,
        checkpoint: Callable[[], None],
    ) -> None:
        self._graphs, self._calls, self._checkpoint = (exact, quantized), calls, checkpoint
        self._nodes = {node.name: node for node in quantized.graph.nodes}
        self._inputs = sample.at_once

    def shifts(self) -> dict[str, torch.Tensor]:
        """By call what is added to its outputs so that their mean over the examples stays what it was."""
        sums: dict[str, torch.Tensor] = {}
        for _, name, wanted, found in self._outputs():
            node = self._nodes[name]
            if node.target in (LINEAR, *CONVOLUTIONS) and is_correctable(node):
                shift = over_channels(node, channel_means(node, wanted - found), found)
                sums[name] = sums.get(name, 0.0) + shift * len(found)
        means = {name: total / len(self._inputs[0]) for name, total in sums.items()}
        return {name: mean for name, mean in means.items() if mean.isfinite().all()}

    def errors(self, shifts: Mapping[str, torch.Tensor]) -> dict[str, float]:
        """By layer how far its outputs are off, those of all its calls together."""
        moved, size = dict.fromkeys(self._calls, 0.0), dict.fromkeys(self._calls, 0.0)
        for layer, name, wanted, found in self._outputs():
            found = found + shifts[name] if name in shifts else found
            moved[layer] += float((found - wanted).double().square().sum())
            size[layer] += float(wanted.double().square().sum())
        return {layer: math.sqrt(moved[layer] / size[layer]) if size[layer] else 0.0 for layer in self._calls}

    def _outputs(self) -> Iterator[tuple[str, str, torch.Tensor, torch.Tensor]]:
        """Layer, call, and what it gives of some examples as it is and rounded."""
        for part in torch.arange(len(self._inputs[0])).split(_AT_ONCE):
            looked = Looked(*self._graphs, rows(self._inputs, part))
            for layer, names in self._calls.items():
                self._checkpoint()
                for name in names:
                    wanted, found = looked.value(name), looked.taken(name)
                    if isinstance(wanted, tuple):  # of all steps first, as recurrent calls give it
                        wanted, found = wanted[0], found[0]
                    yield layer, name, wanted, found
