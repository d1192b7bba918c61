"""Quantization: weights and activations in fewer bits, without training."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from workbench import precisions
from workbench.errors import RecipeError, WorkbenchError, unknown
from workbench.graph import export
from workbench.graph.quantized import already_quantized
from workbench.plumbing.lazy import lazy
from workbench.techniques._base import Context, Form, Technique, option
from workbench.techniques.quantize import schemes
from workbench.techniques.quantize.layers import is_convolution, own_layers, quantizable_layers
from workbench.techniques.quantize.schemes import KEPT, SCHEMES, LayerScheme, Scheme

if TYPE_CHECKING:
    import torch

    from workbench.precisions import Precision
    from workbench.techniques.quantize.apart import Apart
    from workbench.techniques.quantize.columns import Columns
    from workbench.techniques.quantize.few_bits import FewBits
    from workbench.techniques.quantize.reduced import Bits
    from workbench.techniques.quantize.sample import Sample
    from workbench.techniques.quantize.weight_only import Rounded
    from workbench.variant import Variant
else:
    torch = lazy("torch")

SAME = 1e-3
"""What folding and sums in another order may change of a model's outputs, relative to their norm: see how runners are
held to their models."""


@dataclass(frozen=True)
class Original:
    """What is quantized: its graph, made anew at each call, examples, and the layers whose inputs defy one scale."""

    graph: Callable[[], torch.fx.GraphModule]
    sample: Sample
    unlike: Mapping[str, Columns]


class Quantize(Technique):
    """Compute with smaller numbers: eight bits to one, or bf16, in place of fp32.

    Eight bits hold 256 values, so each layer's numbers are scaled to the range that they use. Weights take a quarter of
    the bytes, and processors multiply several times as many of them at once. Rounding costs a little quality; a layer
    whose numbers lie far apart loses more.
    """

    title: ClassVar[str] = "Quantize"
    family: ClassVar[str] = "Quantize"
    works_on: ClassVar[str] = "graph"
    order: ClassVar[int] = 90
    main_option: ClassVar[str] = "scheme"
    deciding_option: ClassVar[str | None] = "scheme"
    summarized: ClassVar[tuple[str, ...]] = ("scheme", "overrides")
    heeds_saturation: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("torchao",)

    do: Literal["quantize"] = "quantize"
    scheme: Scheme = option(
        "int8-static",
        schemes.all_in_words(),
        precisions={name: name for name in SCHEMES},
        title="Scheme",
    )
    group_size: int = option(
        32,
        "inputs of a layer that share a scale, at most: fewer are more accurate, more are smaller",
        unit="inputs",
        when={"scheme": schemes.those(schemes.by_groups)},
        title="Group size",
        ge=8,
        le=256,
    )
    rounding: Literal["nearest", "learned"] = option(
        "learned",
        "of weights in few bits: each to the nearest number, or by 32 training examples or more, so that the layer's "
        "outputs move least",
        when={"scheme": schemes.those(schemes.may_be_learned)},
        title="Rounding",
    )
    calibration: Literal["range", "moving-average", "percentile", "mse", "entropy"] = option(
        "percentile",
        "how ranges are chosen: from smallest to largest, the moving average of these over batches, 99.99 % of the "
        "values, the least squared error, or the least Kullback–Leibler divergence",
        when={"scheme": schemes.those(lambda each: each.is_calibrated)},
        title="Calibration",
    )
    calibration_samples: int = option(
        256,
        "training examples shown to the model to find the ranges",
        unit="examples",
        when={"scheme": schemes.those(lambda each: each.is_calibrated)},
        title="Calibration examples",
        ge=1,
        le=65536,
    )
    correct_biases: bool = option(
        True,
        "take back by each layer's bias what rounding shifts its outputs by on average, by 32 training examples or "
        "more",
        when={"scheme": schemes.those(lambda each: each.weights)},
        title="Correct biases",
    )
    overrides: dict[str, LayerScheme] = option(
        {},
        "schemes of single layers or blocks, by name or by a pattern with *: fp32 leaves them as they are; of several "
        "that name a layer its own name counts, else the longest",
        when={"scheme": schemes.those(lambda each: each.weights)},
        entry="layer",
        title="Schemes of layers",
    )

    @property
    def precisions(self) -> Collection[str]:
        others = self.overrides.values() if self._formats.weights else ()
        return {self.scheme, *others} - {KEPT}

    @property
    def _formats(self) -> Precision:
        return SCHEMES[self.scheme]

    @property
    def _asked(self) -> list[Precision]:
        """All that layers are asked to be, in the order in which a graph is changed: ranges are of exact values."""
        asked = [SCHEMES[name] for name in self.precisions]
        return sorted(asked, key=lambda each: (each.weights_only, not each.is_calibrated, each.order))

    def of_layer(self, layer: str | None) -> str:
        naming = [name for name in self.overrides if schemes.names(name, layer or "")]
        if not naming:
            return self.scheme
        return self.overrides[max(naming, key=lambda name: (name == layer, len(name.replace("*", "")), name))]

    def _formats_of(self, layer: str | None) -> Precision:
        return precisions.find(self.of_layer(layer))

    @classmethod
    def preload(cls) -> None:
        from workbench.techniques.quantize import pt2e  # noqa: F401

    def apply(self, variant: Variant, context: Context) -> Variant:
        """Quantize the variant.

        Parameters
        ----------
        variant
            Its ``module`` stays as it is, in fp32; for the int8 schemes ``graph`` becomes the exported
            graph with quantize/dequantize pairs: weights int8 per output channel and symmetric,
            activations uint8 per tensor. The schemes for weights alone leave activations as they are.
        context
            Calibration takes a seeded sample of ``context.train`` and nothing else. Where the engine saturates,
            int8-static keeps weights or activations to 7 bits, whichever loses less on that sample, and int8-dynamic
            the weights: engines choose the range of activations themselves there, always of 8 bits.

        Raises
        ------
        RecipeError
            An override names no layer of this model.
        WorkbenchError
            Nothing in the model can be quantized this way, or its graph computes something else.
        EngineError
            The model can't be exported.
        """
        if reason := self.blocked(variant.module):
            raise WorkbenchError(reason)
        if self._formats.cast:
            return variant.having(precision=self.scheme, graph=None)
        from workbench.techniques.quantize.pt2e import layers_by_dtype

        original, graph, remark = self.graphs(variant.module, context)
        quantized, fp32 = layers_by_dtype(graph, lambda layer: self._formats_of(layer).weights_only)
        if not quantized:
            raise WorkbenchError(f"no layer of this model became {self.scheme}: {self._nothing(original.unlike)}")
        layers = {name: layer for name, layer in variant.module.named_modules() if name in fp32}
        reasons = {name: self._reason(layer, name, original.unlike) for name, layer in layers.items()}
        rounding_inputs = sorted(layer for layer in quantized if self._formats_of(layer).activations)
        remarks = dict.fromkeys(rounding_inputs, remark) if remark else {}
        return variant.having(
            precision=self.scheme,
            graph=graph,
            apart={
                layer: asked
                for layer in sorted(quantized | fp32)
                if (asked := self.of_layer(layer)) not in (self.scheme, KEPT)
            },
            unchanged={**variant.unchanged, **reasons},
            remarks={**variant.remarks, **remarks},
            notices=(*variant.notices, *self._notices(graph, original)),
        )

    def graphs(self, module: torch.nn.Module, context: Context) -> tuple[Original, torch.fx.GraphModule, str | None]:
        """What is quantized, the graph in fewer bits, and a remark on its layers; see :meth:`apply`."""
        self._check_overrides(module)
        original = self._original(module, context)
        graph, remark = self._quantized(original, context)
        if self.correct_biases and original.sample.teaches:
            self._correct_biases(graph, original, dict(module.named_parameters()), context)
        return original, graph, remark

    def apart(self, module: torch.nn.Module, context: Context) -> Apart:
        """The model's layers quantized one by one, and all but one; see :func:`apart.apart`."""
        from workbench.techniques.quantize.apart import apart

        return apart(self, module, context)

    def _original(self, module: torch.nn.Module, context: Context) -> Original:
        from workbench.techniques.quantize.columns import unlike_columns
        from workbench.techniques.quantize.rewrite import rewritten
        from workbench.techniques.quantize.sample import COMPARED, LEARNED_FROM, Sample

        context.progress("exporting the graph", 0, 0)
        exported = export(module, context.train.at(slice(2)).inputs)
        context.checkpoint()
        static = any(each.is_calibrated for each in self._asked)
        rounds_inputs = any(each.activations for each in self._asked)
        learned = self.rounding == "learned" and any(map(schemes.may_be_learned, self._asked))
        count = LEARNED_FROM if learned or self.correct_biases else COMPARED  # weights by themselves need no more
        count = self.calibration_samples if static else count
        sample = Sample(module, context.train.inputs, count, context.seed)
        graph = partial(rewritten, exported, fold=rounds_inputs)
        unlike = unlike_columns(graph(), sample.inputs, convolutions=static) if rounds_inputs else {}
        asked = {layer: columns for layer, columns in unlike.items() if self._formats_of(layer).activations}
        return Original(graph, sample, asked)

    def _quantized(self, original: Original, context: Context) -> tuple[torch.fx.GraphModule, str | None]:
        """The graph in fewer bits, of those that the engine runs exactly the one that loses least; a remark on it."""
        from workbench.techniques.quantize.reduced import Bits

        rounding_inputs = [each for each in self._asked if each.activations]
        if not context.saturates or all(each.few_bits for each in rounding_inputs):  # 7 bits never overflow
            return self._in_fewer_bits(original, Bits(), context), None
        all_calibrated = all(each.is_calibrated for each in rounding_inputs)
        candidates = [Bits(weights=7), *([Bits(activations=7)] if all_calibrated else [])]
        graphs = {bits: self._in_fewer_bits(original, bits, context) for bits in candidates}
        sample = original.sample
        best = min(graphs, key=lambda bits: sample.distance(sample.outputs_of(graphs[bits])))
        return graphs[best], best.remark

    def _in_fewer_bits(self, original: Original, bits: Bits, context: Context) -> torch.fx.GraphModule:
        """The graph, changed by one scheme after the other, each in its layers."""
        from workbench.techniques.quantize import pt2e, weight_only

        graph = original.graph()
        for number, formats in enumerate(self._asked):

            def takes(layer: str | None, scheme: str = formats.name) -> bool:
                return self.of_layer(layer) == scheme and layer not in original.unlike

            if formats.weights_only:
                options = {"group_size": self.group_size, "takes": takes}
                learned = self._learned(graph, formats, original.sample, context, options)
                weight_only.weights_quantized(graph, formats.weights, **options, rounded_by=learned)
                continue
            static = formats.is_calibrated
            few = None
            if formats.few_bits:
                few = self._few_bits(graph, formats, original.sample, context, takes, checked=bool(number))
            graph = pt2e.quantized(
                graph,
                pt2e.static_config(self.calibration, bits) if static else pt2e.dynamic_config(bits),
                convolutions=static,
                takes=takes,
                calibrate=partial(
                    self._calibrate, sample=original.sample, context=context, exact=not number and not few
                ),
            )
            if few:
                few.put(graph)
        return graph

    def _few_bits(
        self,
        graph: torch.fx.GraphModule,
        formats: Precision,
        sample: Sample,
        context: Context,
        takes: Callable[[str | None], bool],
        *,
        checked: bool,
    ) -> FewBits:
        """``graph`` with weights of few bits; ``checked``: it is known to compute what the module does."""
        from workbench.techniques.quantize.few_bits import FewBits

        if not checked:
            self._require_same(sample.distance(sample.outputs_of(graph)))
        context.progress("rounding", 0, 0)
        few = FewBits(graph, formats.weights, takes=takes, checkpoint=context.checkpoint)
        few.round(sample.at_once if self.rounding == "learned" and sample.teaches else None)
        return few

    def _learned(
        self, graph: torch.fx.GraphModule, formats: Precision, sample: Sample, context: Context, options: dict[str, Any]
    ) -> Mapping[str, Rounded]:
        """By the weight's name the numbers learned from the sample; none where nothing is to be learned."""
        if not (schemes.by_groups(formats) and self.rounding == "learned" and sample.teaches):
            return {}
        from workbench.techniques.quantize.learned_rounding import LearnedRounding

        context.progress("rounding", 0, 0)
        rounding = LearnedRounding(graph, formats.weights, checkpoint=context.checkpoint, **options)
        with torch.no_grad():
            rounding.run(*(each.clone() for each in sample.at_once))
        return rounding.found

    def _correct_biases(
        self, graph: torch.fx.GraphModule, original: Original, parameters: Collection[str], context: Context
    ) -> None:
        from workbench.techniques.quantize.bias_correction import correct_biases

        context.progress("correcting biases", 0, 0)
        correct_biases(graph, original.graph(), original.sample.at_once, parameters, context.checkpoint)

    def _calibrate(self, observed: torch.nn.Module, sample: Sample, context: Context, *, exact: bool) -> None:
        """Show it the sample; where it is said to be ``exact`` it must compute what the module does."""
        done = 0
        for batch in sample.batches:
            context.checkpoint()
            context.progress("calibrating", done, sample.count)
            if done or not exact:
                observed(*batch)
            else:
                self._require_same(sample.distance(sample.outputs_of(observed)))
            done += len(batch[0])

    def _require_same(self, distance: float) -> None:
        if not distance <= SAME:  # NaN too
            raise WorkbenchError(
                f"the graph that {self.scheme} starts from computes something else than the model: its outputs are off "
                f"by {100 * distance:.2g} % of their norm before anything is rounded; use bf16, which needs no graph"
            )

    def _notices(self, graph: torch.fx.GraphModule, original: Original) -> list[str]:
        from workbench.techniques.quantize.collapse import collapse

        kept = [
            f"{layer} stays in fp32: {columns}; give it inputs of like ranges"
            for layer, columns in original.unlike.items()
        ]
        collapsed = collapse(graph, original.graph, original.sample)
        return [*kept, f"{self.scheme} {collapsed}"] if collapsed else kept

    def blocked(self, module: torch.nn.Module, form: Form | None = None) -> str | None:
        if reason := already_quantized(module):
            return reason
        if self._formats.cast or own_layers(module):
            return None
        if any(quantizable_layers(module, each) for each in self._asked):
            return None
        if self._formats.is_calibrated:
            return f"{self.scheme} needs linear or convolution layers and this model has none"
        return (
            f"{self.scheme} quantizes {schemes.takes_in_words(self._formats)} and this model has none; use int8-static"
        )

    def unfit(self, layer: torch.nn.Module) -> str | None:
        if own_layers(layer) or quantizable_layers(layer, self._formats):
            return None
        return self._no_form(layer, self._formats)

    def summary(self) -> str:
        overrides = dict(self.overrides) if self._formats.weights else {}
        general = overrides.pop("*", self.scheme)
        others: dict[str, list[str]] = {}
        for name, scheme in overrides.items():
            others.setdefault(scheme, []).append(name)
        apart = (f", {' and '.join(names)} in {schemes.in_short(scheme)}" for scheme, names in others.items())
        return "".join((schemes.in_short(general), *apart))

    def _check_overrides(self, module: torch.nn.Module) -> None:
        taken = {name for each in SCHEMES.values() if each.weights for name in quantizable_layers(module, each)}
        layers = [name for name, _ in module.named_modules() if name in taken]
        layers += filter(None, own_layers(module))
        blocks = {name.rsplit(".", depth)[0] for name in layers for depth in range(1, name.count(".") + 1)}
        for name in self.overrides:
            if not any(schemes.names(name, each) for each in (*layers, *blocks)):
                raise RecipeError(unknown("layer", name, layers))

    def _reason(self, layer: torch.nn.Module, name: str, unlike: Mapping[str, Columns]) -> str:
        formats = self._formats_of(name)
        if formats.is_plain:
            return "kept in fp32 as the recipe asks"
        if name in unlike:
            return f"kept in fp32: {unlike[name]}"
        return self._no_form(layer, formats)

    def _no_form(self, layer: torch.nn.Module, formats: Precision) -> str:
        kind = type(layer).__name__
        if not formats.is_calibrated and is_convolution(layer):
            return f"{formats.name} quantizes {schemes.takes_in_words(formats)}; a convolution needs int8-static"
        elsewhere = "; int8-weights takes it" if kind in ("GRU", "LSTM") and formats.activations else ""
        return f"{kind} has no {formats.short} form here and is computed in fp32{elsewhere}"

    def _nothing(self, unlike: Mapping[str, Columns]) -> str:
        if unlike:
            return f"of {next(iter(unlike))}, {next(iter(unlike.values()))}; give it inputs of like ranges"
        if KEPT in self.overrides.values():
            return "the overrides keep every layer in fp32; take one out"
        return "its graph holds no linear or convolution call that this scheme quantizes"
