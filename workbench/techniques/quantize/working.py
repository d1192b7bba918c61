"""A step of quantization at work on a model: from its exported graph to the one in fewer bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import torch

from workbench.errors import WorkbenchError
from workbench.graph import export, layer_of
from workbench.techniques._base import Context
from workbench.techniques.quantize import pt2e, schemes, weight_only
from workbench.techniques.quantize.bias_correction import correct_biases
from workbench.techniques.quantize.calls import CONVOLUTIONS, LINEAR, Takes
from workbench.techniques.quantize.columns import Columns, unlike_columns
from workbench.techniques.quantize.constants import is_constant
from workbench.techniques.quantize.equalization import equalize, pairs
from workbench.techniques.quantize.few_bits import FewBits
from workbench.techniques.quantize.layers import is_convolution, quantizable_layers
from workbench.techniques.quantize.learned_rounding import LearnedRounding
from workbench.techniques.quantize.reduced import Bits
from workbench.techniques.quantize.rewrite import rewritten
from workbench.techniques.quantize.sample import COMPARED, LEARNED_FROM, Sample

if TYPE_CHECKING:
    from workbench.precisions import Integers, Precision
    from workbench.techniques.quantize import Quantize
    from workbench.techniques.quantize.rounding import Rounded
    from workbench.techniques.quantize.steps import Range

SAME = 1e-3
"""What folding and sums in another order may change of a model's outputs, relative to their norm: see how runners are
held to their models."""


@dataclass(frozen=True)
class Working:
    """What ``step`` makes of ``module``.

    ``numbers``: by layer the whole numbers, of its weight's shape, that its weight is times a scale for each group, if
    it was trained to be such; ``ranges``: of its inputs, the scale and which number is zero, where these were learned.
    """

    step: Quantize
    module: torch.nn.Module
    context: Context
    numbers: Mapping[str, torch.Tensor] = field(default_factory=dict)
    ranges: Mapping[str, Range] = field(default_factory=dict)

    @cached_property
    def sample(self) -> Sample:
        """Examples to calibrate with and to learn from."""
        learned = self.step.rounding == "learned" and any(map(schemes.may_be_learned, self.step.asked))
        count = LEARNED_FROM if learned or self.step.correct_biases else COMPARED  # weights by themselves need no more
        count = self.step.calibration_samples if self._is_calibrated else count
        return Sample(self.module, self.context.train.inputs, count, self.context.seed)

    @cached_property
    def unlike(self) -> Mapping[str, Columns]:
        """The layers whose inputs defy one scale."""
        if not self._rounds_inputs:
            return {}
        found = unlike_columns(self.graph(), self.sample.inputs, convolutions=self._is_calibrated)
        return {layer: columns for layer, columns in found.items() if self.step.formats_of(layer).activations}

    @cached_property
    def trainable(self) -> Mapping[str, Precision]:
        """The layers whose weights can be trained rounded, and what to: linear ones and convolutions."""
        called, found = set(self.fed_by) - set(self.unlike), {}
        for formats in self.step.asked:
            for name in quantizable_layers(self.module, formats):
                layer = self.module.get_submodule(name)
                rounds = isinstance(layer, torch.nn.Linear) or is_convolution(layer)
                if rounds and name in called and self.step.formats_of(name) == formats:
                    found[name] = self._exactly_runnable(formats)
        return found

    @cached_property
    def fed_by(self) -> Mapping[str | None, str]:
        """By layer that multiplies with its weight, the name of the value that it multiplies first."""
        found = {}
        for node in self.graph().graph.nodes:
            if node.target in (LINEAR, *CONVOLUTIONS) and is_constant(node.args[1]):
                found.setdefault(layer_of(node), node.args[0].name)
        return found

    def graph(self) -> torch.fx.GraphModule:
        """The exported graph that is quantized, made anew at each call."""
        graph = self._rewritten()
        if self.step.equalize:
            equalize(graph, pairs(graph, self.step.equalizes))
        return graph

    def _rewritten(self) -> torch.fx.GraphModule:
        return rewritten(self._exported, fold=self._rounds_inputs)

    @cached_property
    def equalized(self) -> Mapping[str, list[str]]:
        """By layer those that it is scaled together with."""
        found: dict[str, list[str]] = {}
        if not self.step.equalize:
            return found
        for pair in pairs(self._rewritten(), self.step.equalizes):
            first, second = pair.layers
            found.setdefault(first, []).append(second)
            found.setdefault(second, []).append(first)
        return found

    @cached_property
    def quantized(self) -> tuple[torch.fx.GraphModule, str | None]:
        """The graph in fewer bits, of those that the engine runs exactly the one that loses least; a remark on it."""
        graph, remark = self._exactly_run()
        if self.step.correct_biases and self.sample.teaches:
            self.context.progress("correcting biases", 0, 0)
            parameters = dict(self.module.named_parameters())
            correct_biases(graph, self.graph(), self.sample.at_once, parameters, self.context.checkpoint)
        return graph, remark

    def in_fewer_bits(self, bits: Bits) -> torch.fx.GraphModule:
        """The graph, changed by one scheme after the other, each in its layers."""
        graph = self.graph()
        self._require_same(graph)
        for number, formats in enumerate(self.step.asked):

            def takes(layer: str | None, scheme: str = formats.name) -> bool:
                return self.step.of_layer(layer) == scheme and layer not in self.unlike

            if formats.weights_only:
                self._weights_alone(graph, formats, takes)
                continue
            static, few = formats.is_calibrated, None
            beside = bits.beside(formats)
            if formats.few_bits or self.numbers:
                few = self._few_bits(graph, bits.of_weights(formats.weights), takes)
            graph = pt2e.quantized(
                graph,
                self._config(formats, beside),
                convolutions=static,
                recurrent=not formats.few_bits,
                takes=takes,
                ranges=self.ranges,
                calibrate=partial(self._calibrate, exact=not number and not few),
            )
            if few:
                few.put(graph)
        return graph

    @cached_property
    def _exported(self) -> torch.export.ExportedProgram:
        self.context.progress("exporting the graph", 0, 0)
        exported = export(self.module, self.context.train.at(slice(2)).inputs)
        self.context.checkpoint()
        return exported

    @property
    def _is_calibrated(self) -> bool:
        return any(each.is_calibrated for each in self.step.asked)

    @property
    def _rounds_inputs(self) -> bool:
        return any(each.activations for each in self.step.asked)

    def _exactly_runnable(self, formats: Precision) -> Precision:
        """``formats``, its weights in 7 bits where the engine's sums of 8 would overflow."""
        if not (self.context.saturates and formats.activations):
            return formats
        return replace(formats, weights=Bits(weights=7).of_weights(formats.weights))

    def _exactly_run(self) -> tuple[torch.fx.GraphModule, str | None]:
        rounding_inputs = [each for each in self.step.asked if each.activations]
        if not self.context.saturates or all(each.few_bits for each in rounding_inputs):  # 7 bits never overflow
            return self.in_fewer_bits(Bits()), None
        candidates = [Bits(weights=7)]
        if all(each.is_calibrated for each in rounding_inputs) and not self.numbers:
            candidates.append(Bits(activations=7))
        graphs = {bits: self.in_fewer_bits(bits) for bits in candidates}
        best = min(graphs, key=lambda bits: self.sample.distance(self.sample.outputs_of(graphs[bits])))
        return graphs[best], best.remark

    def _config(self, formats: Precision, bits: Bits) -> pt2e.QuantizationConfig:
        whole = formats.weights.scales == "tensor"
        if formats.is_calibrated:
            return pt2e.static_config(self.step.calibration, bits, whole=whole)
        return pt2e.dynamic_config(bits, whole=whole)

    def _weights_alone(self, graph: torch.fx.GraphModule, formats: Precision, takes: Takes) -> None:
        options = {"group_size": self.step.group_size, "takes": takes}
        if self.numbers:
            done = weight_only.rounded_already(graph, formats.weights, self.numbers, **options)
        else:
            done = self._learned(graph, formats, options)
        weight_only.weights_quantized(graph, formats.weights, **options, rounded_by=done)

    def _few_bits(self, graph: torch.fx.GraphModule, weights: Integers, takes: Takes) -> FewBits:
        """``graph`` with weights of few bits."""
        self.context.progress("rounding", 0, 0)
        few = FewBits(graph, weights, takes=takes, numbers=self.numbers, checkpoint=self.context.checkpoint)
        few.round(self.sample.at_once if self.step.rounding == "learned" and self.sample.teaches else None)
        return few

    def _learned(
        self, graph: torch.fx.GraphModule, formats: Precision, options: dict[str, Any]
    ) -> Mapping[str, Rounded]:
        """By the weight's name the numbers learned from the sample; none where nothing is to be learned."""
        if not (schemes.by_groups(formats) and self.step.rounding == "learned" and self.sample.teaches):
            return {}
        self.context.progress("rounding", 0, 0)
        rounding = LearnedRounding(graph, formats.weights, checkpoint=self.context.checkpoint, **options)
        with torch.no_grad():
            rounding.run(*(each.clone() for each in self.sample.at_once))
        return rounding.found

    def _calibrate(self, observed: torch.nn.Module, *, exact: bool) -> None:
        """Show it the sample; where it is said to be ``exact`` it must compute what the module does."""
        done = 0
        for batch in self.sample.batches:
            self.context.checkpoint()
            self.context.progress("calibrating", done, self.sample.count)
            if done or not exact:
                observed(*batch)
            else:
                self._require_same(observed)
            done += len(batch[0])

    def _require_same(self, graph: torch.nn.Module) -> None:
        distance = self.sample.distance(self.sample.outputs_of(graph))
        if distance <= SAME:
            return  # NaN doesn't
        if self.sample.distance(self.sample.outputs_of(self.module)) > SAME:
            raise WorkbenchError(
                "the model's forward draws random numbers that aren't torch's, and a graph would hold the same ones at "
                "each call; draw them with torch, or use bf16, which needs no graph"
            )
        raise WorkbenchError(
            f"the graph that {self.step.scheme} starts from computes something else than the model: its outputs are "
            f"off by {100 * distance:.2g} % of their norm before anything is rounded; use bf16, which needs no graph"
        )
