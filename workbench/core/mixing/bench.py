"""What is measured and where: one model, with and without quantization, on one engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from workbench.core.placing import completions
from workbench.core.shelf import Prepared, Shelf
from workbench.engines import LayerTimesUnavailable
from workbench.errors import WorkbenchError
from workbench.recipe import Recipe
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.techniques.quantize.schemes import KEPT, names
from workbench.workload import Inputs, LoadedWorkload


@dataclass(frozen=True)
class Bench:
    """``kept``: the recipe without quantization, its place complete; ``steps``: by scheme what quantizes all layers.

    ``reference`` is the scheme that speeds are told beside, ``fixed`` what the person has asked of layers, by names and
    patterns.
    """

    workload: LoadedWorkload
    shelf: Shelf
    kept: Recipe
    steps: Mapping[str, Quantize]
    reference: str
    fixed: Mapping[str, str] = field(default_factory=dict)

    @property
    def example(self) -> Inputs:
        """What calls are timed with."""
        return self.workload.example(self.kept.place.batch)

    def quantized(self, scheme: str, overrides: Mapping[str, str] | None = None) -> Recipe:
        """The recipe with all layers in ``scheme``, but for ``overrides`` and those that are fixed."""
        step = self.steps[scheme].model_copy(update={"overrides": {**self.fixed, **(overrides or {})}})
        return self.kept.model_copy(update={"steps": (*self.kept.steps, step)})

    @property
    def unquantized(self) -> Recipe:
        """The recipe with all layers as they are but those that are fixed."""
        if set(self.fixed.values()) <= {KEPT}:
            return self.kept
        return self.quantized(self.reference, {"*": KEPT})

    def is_fixed(self, layer: str) -> bool:
        """Whether the person has asked for its scheme."""
        return any(names(name, layer) for name in self.fixed)

    def prepared(self, recipe: Recipe, context: Context) -> Prepared:
        """The recipe's variant, ready to be called."""
        return self.shelf.prepared(self.workload, recipe, context)


def settled(
    workload: LoadedWorkload,
    recipe: Recipe,
    steps: Mapping[str, Quantize],
    fixed: Mapping[str, str],
    shelf: Shelf,
    context: Context,
) -> Bench:
    """The bench on the first engine of those that ``recipe`` may run on which times the layers of a quantized model.

    The reference is the first scheme for which there is one. Raises :class:`WorkbenchError` where there is none.
    """
    reasons: dict[str, None] = {}
    for scheme in steps:
        asked = Bench(workload, shelf, recipe, steps, scheme, fixed)
        for complete in completions(asked.quantized(scheme)):
            kept = recipe.model_copy(update={"place": complete.place})
            bench = Bench(workload, shelf, kept, steps, scheme, fixed)
            try:
                bench.prepared(complete, context).runner.layer_times_ms(bench.example, repeats=1)
            except (WorkbenchError, LayerTimesUnavailable) as error:
                reasons.setdefault(str(error))
            else:
                return bench
    raise WorkbenchError(f"no scheme can be measured layer by layer: {'; '.join(reasons)}")
