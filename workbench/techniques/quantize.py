"""Quantization: weights and activations in fewer bits, without training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, get_args

from pydantic import BeforeValidator

from workbench._lazy import lazy
from workbench.errors import RecipeError, WorkbenchError, unknown
from workbench.graph import export
from workbench.techniques._base import Context, Task, Technique, option
from workbench.variant import WEIGHT_ONLY

if TYPE_CHECKING:
    import torch

    from workbench.variant import Variant
else:
    torch = lazy("torch")

_BATCH = 64
_SHORT = {"int8": "int8-static", "static": "int8-static", "dynamic": "int8-dynamic", "int4": "int4-weights"}


_Scheme = Literal["int8-static", "int8-dynamic", "bf16", "int8-weights", "int4-weights"]


def _full_name(scheme: object) -> object:
    if not isinstance(scheme, str):
        return scheme
    full = _SHORT.get(scheme, scheme)
    if full not in get_args(_Scheme):
        raise RecipeError(unknown("scheme", scheme, {*get_args(_Scheme), *_SHORT}))
    return full


class Quantize(Technique):
    """Compute with smaller numbers: int8, int4 or bf16 in place of fp32."""

    title: ClassVar[str] = "Quantize"
    works_on: ClassVar[str] = "graph"
    order: ClassVar[int] = 90
    main_option: ClassVar[str] = "scheme"
    summarized: ClassVar[tuple[str, ...]] = ("scheme", "overrides")

    do: Literal["quantize"] = "quantize"
    scheme: Annotated[_Scheme, BeforeValidator(_full_name)] = option(
        "int8-static",
        "int8-static: ranges fixed beforehand; int8-dynamic: linear layers, ranges of what comes; bf16: half the bits; "
        "int8-weights, int4-weights: linear layers, weights alone",
        title="Scheme",
    )
    group_size: int = option(
        32,
        "inputs of a layer that share a scale, at most: fewer are more accurate, more are smaller",
        unit="inputs",
        when={"scheme": ["int4-weights"]},
        title="Group size",
        ge=8,
        le=256,
    )
    calibration: Literal["range", "percentile", "mse"] = option(
        "percentile",
        "how ranges are chosen: from smallest to largest, 99.99 % of the values, or the least squared error",
        when={"scheme": ["int8-static"]},
        title="Calibration",
    )
    calibration_samples: int = option(
        256,
        "training examples shown to the model to find the ranges",
        unit="examples",
        when={"scheme": ["int8-static"]},
        title="Calibration examples",
        ge=1,
        le=65536,
    )
    overrides: dict[str, Literal["fp32"]] = option(
        {},
        "layers kept in fp32, by name",
        when={"scheme": ["int8-static", "int8-dynamic", "int8-weights", "int4-weights"]},
        title="Layers kept in fp32",
    )

    @classmethod
    def preload(cls) -> None:
        from workbench.techniques import _pt2e  # noqa: F401

    def apply(self, variant: Variant, context: Context) -> Variant:
        """Quantize the variant.

        Parameters
        ----------
        variant
            Its ``module`` stays as it is, in fp32; for the int8 schemes ``graph`` becomes the exported
            graph with quantize/dequantize pairs: weights int8 per output channel and symmetric,
            activations uint8 per tensor. The schemes for weights alone leave activations as they are.
        context
            Calibration takes a seeded sample of ``context.train`` and nothing else.

        Raises
        ------
        RecipeError
            An override names no layer of this model.
        WorkbenchError
            Nothing in the model can be quantized this way.
        EngineError
            The model can't be exported.
        """
        if self.scheme == "bf16":
            return variant.having(precision="bf16", graph=None)
        self._check_overrides(variant.module)
        if reason := self.blocked(variant.module):
            raise WorkbenchError(reason)
        from workbench.techniques import _pt2e

        context.progress("exporting the graph", 0, 0)
        exported = export(variant.module, context.train.inputs[:2])
        context.checkpoint()
        graph = self._quantized(exported, context)
        quantized, fp32 = _pt2e.layers_by_dtype(graph, weight_only=self.scheme in WEIGHT_ONLY)
        if not quantized:
            raise WorkbenchError(f"no layer of this model became {self.scheme}: {self._nothing()}")
        reasons = {name: self._reason(layer, name) for name, layer in variant.module.named_modules() if name in fp32}
        return variant.having(precision=self.scheme, graph=graph, unchanged={**variant.unchanged, **reasons})

    def _quantized(self, exported: torch.export.ExportedProgram, context: Context) -> torch.fx.GraphModule:
        from workbench.techniques import _pt2e, _weight_only

        if self.scheme in WEIGHT_ONLY:
            group_size = self.group_size if self.scheme == "int4-weights" else None
            return _weight_only.weights_quantized(exported, group_size=group_size, keep_fp32=tuple(self.overrides))
        static = self.scheme == "int8-static"
        return _pt2e.quantized(
            exported,
            _pt2e.static_config(self.calibration) if static else _pt2e.dynamic_config(),
            convolutions=static,
            keep_fp32=tuple(self.overrides),
            calibrate=lambda observed: self._calibrate(observed, context),
        )

    def blocked(self, module: torch.nn.Module, task: Task | None = None) -> str | None:
        if self.scheme == "bf16" or _opaque(module):
            return None
        if self.scheme != "int8-static" and not _layers(module, convolutions=False):
            return f"{self.scheme} quantizes linear layers only and this model has none; use int8-static"
        if not _layers(module):
            return "int8-static needs linear or convolution layers and this model has none"
        return None

    def summary(self) -> str:
        kept = f", {' and '.join(self.overrides)} in fp32" if self.overrides and self.scheme != "bf16" else ""
        return self.scheme.removesuffix("-static").replace("-", " ") + kept

    def _check_overrides(self, module: torch.nn.Module) -> None:
        layers = _layers(module)
        blocks = {name.rsplit(".", depth)[0] for name in layers for depth in range(1, name.count(".") + 1)}
        for name in self.overrides:
            if name not in layers and name not in blocks:
                raise RecipeError(unknown("layer", name, layers))

    def _calibrate(self, observed: torch.nn.Module, context: Context) -> None:
        inputs = context.train.inputs
        generator = torch.Generator().manual_seed(context.seed)
        count = self.calibration_samples if self.scheme == "int8-static" else 1  # enough to see the weights
        chosen = torch.randperm(len(inputs), generator=generator)[:count]
        for start in range(0, len(chosen), _BATCH):
            context.checkpoint()
            context.progress("calibrating", start, len(chosen))
            observed(inputs[chosen[start : start + _BATCH]])

    def _reason(self, layer: torch.nn.Module, name: str) -> str:
        from workbench.techniques._pt2e import inside

        kind = type(layer).__name__
        if inside(name, self.overrides):
            return "kept in fp32 as the recipe asks"
        if self.scheme != "int8-static" and "Conv" in kind:
            return f"{self.scheme} quantizes linear layers only; a convolution needs int8-static"
        return f"{kind} has no {self.scheme.partition('-')[0]} form here and is computed in fp32"

    def _nothing(self) -> str:
        if self.overrides:
            return "the overrides keep every layer in fp32; take one out"
        return "its graph holds no linear or convolution call that this scheme quantizes"


def _layers(module: torch.nn.Module, *, convolutions: bool = True) -> list[str]:
    """The names of the layers that have an int8 form."""
    nn = torch.nn
    kinds = (nn.Linear, nn.MultiheadAttention, *((nn.Conv1d, nn.Conv2d) if convolutions else ()))
    return [name for name, layer in module.named_modules() if isinstance(layer, kinds)]


def _opaque(module: torch.nn.Module) -> bool:
    """Whether weights may be used by calls that are no layers of their own: then only the graph tells."""
    owners = (layer for layer in module.modules() if any(True for _ in layer.parameters(recurse=False)))
    return any(type(layer) is torch.nn.Module or not type(layer).__module__.startswith("torch.nn.") for layer in owners)
