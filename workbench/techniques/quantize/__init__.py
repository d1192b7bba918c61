"""Quantization: weights and activations in fewer bits, with training or without."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import model_validator

from workbench import precisions
from workbench.errors import RecipeError, WorkbenchError, unknown
from workbench.graph.quantized import already_quantized
from workbench.plumbing.lazy import lazy
from workbench.techniques._base import Context, Form, Technique, option
from workbench.techniques.quantize import schemes
from workbench.techniques.quantize.layers import is_convolution, own_layers, quantizable_layers
from workbench.techniques.quantize.schemes import AUTO, KEPT, SCHEMES, LayerScheme, Scheme

if TYPE_CHECKING:
    import torch

    from workbench.precisions import Precision
    from workbench.techniques.quantize.apart import Apart
    from workbench.techniques.quantize.columns import Columns
    from workbench.techniques.quantize.working import Working
    from workbench.variant import Variant
else:
    torch = lazy("torch")

_MOST_EPOCHS = 30


class Quantize(Technique):
    """Compute with smaller numbers: eight bits to one, or floats of two bytes, in place of fp32.

    Eight bits hold 256 values, so each layer's numbers are scaled to the range that they use. Weights take a quarter of
    the bytes, and processors multiply several times as many of them at once. Rounding costs a little quality; a layer
    whose numbers lie far apart loses more. A model that is trained on with rounded numbers gets used to them.
    """

    title: ClassVar[str] = "Quantize"
    family: ClassVar[str] = "Quantize"
    works_on: ClassVar[str] = "graph"
    order: ClassVar[int] = 90
    main_option: ClassVar[str] = "scheme"
    deciding_option: ClassVar[str | None] = "scheme"
    summarized: ClassVar[tuple[str, ...]] = ("scheme", "budget", "overrides")
    heeds_saturation: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("torchao",)

    do: Literal["quantize"] = "quantize"
    scheme: Scheme = option(
        "int8-static",
        schemes.all_in_words(),
        precisions={name: name for name in SCHEMES},
        title="Scheme",
    )
    budget: float | None = option(
        None,
        "the loss of quality that auto accepts, a share: 0.005 is half a percentage point, or half a per cent of a "
        "metric that is no share",
        unit="accepted loss",
        when={"scheme": [AUTO]},
        default_when={"scheme": {AUTO: 0.005}},
        title="Budget",
        gt=0,
        le=1,
    )
    group_size: int = option(
        32,
        "inputs of a layer that share a scale, at most: fewer are more accurate, more are smaller",
        unit="inputs",
        when={"scheme": schemes.those_and_auto(schemes.by_groups)},
        title="Group size",
        ge=8,
        le=256,
    )
    granularity: Literal["channel", "tensor"] = option(
        "channel",
        "of weights in eight bits: a scale for each output channel, or one number for all weights of a layer",
        when={"scheme": schemes.those_and_auto(schemes.in_bytes)},
        title="Scales of weights",
    )
    rounding: Literal["nearest", "learned"] = option(
        "learned",
        "of weights in few bits: each to the nearest number, or by 32 training examples or more, so that the layer's "
        "outputs move least",
        when={"scheme": schemes.those_and_auto(schemes.may_be_learned)},
        title="Rounding",
    )
    calibration: Literal["range", "moving-average", "percentile", "mse", "entropy"] = option(
        "mse",
        "how ranges are chosen: from smallest to largest, the moving average of these over batches, 99.99 % of the "
        "values, the least squared error, or the least Kullback–Leibler divergence",
        when={"scheme": schemes.those_and_auto(lambda each: each.is_calibrated)},
        title="Calibration",
    )
    calibration_samples: int = option(
        256,
        "training examples shown to the model to find the ranges",
        unit="examples",
        when={"scheme": schemes.those_and_auto(lambda each: each.is_calibrated)},
        title="Calibration examples",
        ge=1,
        le=65536,
    )
    equalize: bool = option(
        False,
        "before rounding, scale convolutions that follow each other, with a ReLU between or nothing, so that their "
        "channels have like ranges: the outputs stay the same and one scale for a layer loses less",
        when={"scheme": schemes.those_and_auto(lambda each: each.is_calibrated), "epochs": [0]},
        title="Equalize convolutions",
    )
    correct_biases: bool = option(
        True,
        "take back by each layer's bias what rounding shifts its outputs by on average, by 32 training examples or "
        "more",
        when={"scheme": schemes.those_and_auto(lambda each: each.weights)},
        title="Correct biases",
    )
    epochs: int = option(
        0,
        "training passes with rounded weights and activations, which win quality back: the fewer bits, the more",
        unit="epochs",
        when={"scheme": schemes.those(lambda each: each.weights)},
        trains=True,
        title="Training",
        ge=0,
        le=_MOST_EPOCHS,
    )
    learning_rate: float = option(
        0.001,
        "the highest learning rate while training",
        when={"scheme": schemes.those(lambda each: each.weights), "epochs": list(range(1, _MOST_EPOCHS + 1))},
        title="Learning rate",
        ge=1e-5,
        le=0.02,
    )
    overrides: dict[str, LayerScheme] = option(
        {},
        "schemes of single layers or blocks, by name or by a pattern with *: fp32 leaves them as they are; of several "
        "that name a layer its own name counts, else the longest",
        when={"scheme": schemes.those_and_auto(lambda each: each.weights)},
        entry="layer",
        title="Schemes of layers",
    )

    @model_validator(mode="after")
    def _auto_alone_has_a_budget(self) -> Quantize:
        if self.budget is not None and not self.searches():
            raise RecipeError(f"a budget is for scheme 'auto', not {self.scheme!r}; leave it out or choose 'auto'")
        if self.searches() and self.budget is None:
            raise RecipeError("scheme 'auto' needs a budget, the loss that is accepted as a share: 0.005, for instance")
        if self.searches() and self.epochs:
            raise RecipeError(
                f"scheme 'auto' chooses without training and epochs is {self.epochs}; leave epochs out, and train what "
                "it chose"
            )
        return self

    @property
    def precisions(self) -> Collection[str]:
        others = self.overrides.values() if self.searches() or self._formats.weights else ()
        return {self.scheme, *others} - {KEPT, AUTO}

    def searches(self) -> bool:
        return self.scheme == AUTO

    @property
    def _formats(self) -> Precision:
        return SCHEMES[self.scheme]

    @property
    def asked(self) -> list[Precision]:
        """All that layers are asked to be, in the order in which a graph is changed: ranges are of exact values."""
        asked = [self._in_detail(SCHEMES[name]) for name in self.precisions]
        return sorted(asked, key=lambda each: (each.weights_only, not each.is_calibrated, each.order))

    def of_layer(self, layer: str | None) -> str:
        naming = [name for name in self.overrides if schemes.names(name, layer or "")]
        if not naming:
            return self.scheme
        return self.overrides[max(naming, key=lambda name: (name == layer, len(name.replace("*", "")), name))]

    def formats_of(self, layer: str | None) -> Precision:
        """The number formats that it asks of a layer, by name; of what is outside of any where ``None``."""
        return self._in_detail(precisions.find(self.of_layer(layer)))

    def _in_detail(self, formats: Precision) -> Precision:
        """``formats`` with the scales that the options ask for."""
        return schemes.with_one_scale(formats) if self.granularity == "tensor" else formats

    def equalizes(self, layer: str | None) -> bool:
        """Whether it scales this layer together with others before it rounds them: not where weights are trained."""
        return self.equalize and not self.epochs and self.formats_of(layer).is_calibrated

    @classmethod
    def preload(cls) -> None:
        from workbench.techniques.quantize import training, working  # noqa: F401

    def apply(self, variant: Variant, context: Context) -> Variant:
        """Quantize the variant.

        Parameters
        ----------
        variant
            Its ``module`` stays as it is, in fp32, unless it is trained; for the int8 schemes ``graph`` becomes
            the exported graph with quantize/dequantize pairs: weights int8 per output channel or layer, symmetric,
            activations uint8 per tensor. The schemes for weights alone leave activations as they are.
        context
            Calibration takes a seeded sample of ``context.train`` and nothing else. Where the engine saturates,
            int8-static keeps weights or activations to 7 bits, whichever loses less on that sample, and int8-dynamic
            the weights: engines choose the range of activations themselves there, always of 8 bits.

        Raises
        ------
        RecipeError
            An override names no layer of this model, or the scheme is "auto", which only a run resolves.
        WorkbenchError
            Nothing in the model can be quantized this way, or its graph computes something else.
        EngineError
            The model can't be exported.
        """
        if reason := self.blocked(variant.module):
            raise WorkbenchError(reason)
        if self.searches():
            raise RecipeError(
                "scheme 'auto' is searched by a run; take the recipe of its result, wb.run(workload, recipe).result()"
            )
        if self._formats.cast:
            return variant.having(precision=self.scheme, graph=None)
        from workbench.techniques._training import Plan
        from workbench.techniques.quantize.pt2e import layers_by_dtype
        from workbench.techniques.quantize.training import trained

        working, worse = self.working(variant.module, context), None
        if self.epochs:
            working, worse = trained(working, Plan("quantize", self.epochs, self.learning_rate))
        graph, remark = working.quantized
        quantized, fp32 = layers_by_dtype(graph, lambda layer: self.formats_of(layer).weights_only)
        if not quantized:
            raise WorkbenchError(f"no layer of this model became {self.scheme}: {self._nothing(working.unlike)}")
        layers = {name: layer for name, layer in variant.module.named_modules() if name in fp32}
        reasons = {name: self._reason(layer, name, working.unlike) for name, layer in layers.items()}
        return variant.having(
            module=working.module,
            precision=self.scheme,
            graph=graph,
            apart={
                layer: asked
                for layer in sorted(quantized | fp32)
                if (asked := self.of_layer(layer)) not in (self.scheme, KEPT)
            },
            unchanged={**variant.unchanged, **reasons},
            remarks={**variant.remarks, **self._remarks(quantized, remark, working.equalized)},
            notices=(*variant.notices, *([worse] if worse else []), *self._notices(graph, working)),
        )

    def _remarks(
        self, layers: Collection[str], of_inputs: str | None, equalized: Mapping[str, list[str]]
    ) -> dict[str, str]:
        """By layer what there is to say of how it is quantized; ``of_inputs`` of all whose inputs are rounded."""
        found = {}
        for layer in sorted(layers):
            formats = self.formats_of(layer)
            told = [of_inputs] if of_inputs and formats.activations else []
            if formats.weights and formats.weights.scales == "tensor":
                told.append("one scale for all its weights")
            if others := equalized.get(layer):
                told.append(f"channels equalized with those of {' and '.join(others)}")
            if told:
                found[layer] = "; ".join(told)
        return found

    def working(self, module: torch.nn.Module, context: Context) -> Working:
        """What it makes of ``module``; see :meth:`apply`."""
        from workbench.techniques.quantize.working import Working

        self._check_overrides(module)
        return Working(self, module, context)

    def apart(self, module: torch.nn.Module, context: Context) -> Apart:
        """The model's layers quantized one by one, and all but one; see :func:`apart.apart`."""
        from workbench.techniques.quantize.apart import apart

        return apart(self, module, context)

    def _notices(self, graph: torch.fx.GraphModule, working: Working) -> list[str]:
        from workbench.techniques.quantize.collapse import collapse

        kept = [
            f"{layer} stays in fp32: {columns}; give it inputs of like ranges"
            for layer, columns in working.unlike.items()
        ]
        if self.equalizes(None) and not working.equalized:
            kept.append(
                "equalize changed nothing: no convolution is followed by another, with a ReLU between or nothing"
            )
        collapsed = collapse(graph, working.graph, working.sample)
        return [*kept, f"{self.scheme} {collapsed}"] if collapsed else kept

    def blocked(self, module: torch.nn.Module, form: Form | None = None) -> str | None:
        if reason := already_quantized(module):
            return reason
        if self.searches():
            return self._why_no_choice(module)
        if self._formats.cast or own_layers(module):
            return None
        if any(quantizable_layers(module, each) for each in self.asked):
            return None
        if self._formats.is_calibrated:
            return f"{self.scheme} needs linear or convolution layers and this model has none"
        return (
            f"{self.scheme} quantizes {schemes.takes_in_words(self._formats)} and this model has none; use int8-static"
        )

    def _why_no_choice(self, module: torch.nn.Module) -> str | None:
        layers = self._layers(module)
        if not layers:
            return "auto chooses the schemes of layers and this model has none that any scheme quantizes"
        if all(any(schemes.names(name, layer) for name in self.overrides) for layer in layers):
            return "the overrides say the scheme of every layer, so auto has none to choose; take one out"
        return None

    def unfit(self, layer: torch.nn.Module) -> str | None:
        if self.searches() or own_layers(layer) or quantizable_layers(layer, self._formats):
            return None
        return self._no_form(layer, self._formats)

    def summary(self) -> str:
        overrides = dict(self.overrides) if self.searches() or self._formats.weights else {}
        general = overrides.pop("*", self.scheme)
        others: dict[str, list[str]] = {}
        for name, scheme in overrides.items():
            others.setdefault(scheme, []).append(name)
        apart = (f", {' and '.join(names)} in {schemes.in_short(scheme)}" for scheme, names in others.items())
        within = f" within {100 * self.budget:.3g} %" if self.searches() else ""
        return "".join((schemes.in_short(general), within, *apart))

    def require_choice(self, module: torch.nn.Module) -> None:
        """Raise where a search would have nothing to choose in ``module``.

        Raises
        ------
        RecipeError
            An override names no layer, with the nearest names.
        WorkbenchError
            There is no layer that a scheme quantizes, or the overrides name all of them.
        """
        self._check_overrides(module)
        if reason := self.blocked(module):
            raise WorkbenchError(reason)

    def _check_overrides(self, module: torch.nn.Module) -> None:
        layers = self._layers(module)
        blocks = {name.rsplit(".", depth)[0] for name in layers for depth in range(1, name.count(".") + 1)}
        for name in self.overrides:
            if not any(schemes.names(name, each) for each in (*layers, *blocks)):
                raise RecipeError(unknown("layer", name, layers))

    @staticmethod
    def _layers(module: torch.nn.Module) -> list[str]:
        """All that an override may name by itself."""
        taken = {name for each in SCHEMES.values() if each.weights for name in quantizable_layers(module, each)}
        layers = [name for name, _ in module.named_modules() if name in taken]
        return [*layers, *filter(None, own_layers(module))]

    def _reason(self, layer: torch.nn.Module, name: str, unlike: Mapping[str, Columns]) -> str:
        formats = self.formats_of(name)
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
