"""What each toggle has done so far: this recipe's figures against those of the same recipe without it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from workbench.receipt import Interval, Quality, Result
from workbench.widgets import _format as fmt
from workbench.widgets.page.metric import Metric

Effect = dict[str, str]

_RUN_TO_RUN = math.log(1.1)
"""Half a 95 % interval of what two runs of one recipe differ by at different moments, as a logarithm: no repetition
within a run shows it. Of three schemes on ``fashion-cnn``, measured twelve times each by turns, the speed-up varied by
3.8 % (standard deviation; mostly by 1 %, but by 15 % in phases in which the machine's two processors worked together
less well); 1.96·√2 times that is 10.4 %."""


def effects(recipe: dict[str, Any], results: Iterable[Result]) -> dict[str, Effect]:
    """For each step of ``recipe``, by name: ``{"text": "1.9× · −0.02 pt · real", "tone": "better",
    "against": "1.8 – 2.0× over the recipe without it"}``.

    ``results`` are finished runs of the same workload, newest first. A step has an effect to show once both
    recipes, with it and without it, were measured by the same metric, beside baselines on the same engine. A step alone
    in its recipe is compared with the baseline where the recipe without it wasn't measured so.
    """
    known: dict[tuple[str, str, Metric], Result] = {}
    newest: dict[str, Result] = {}
    for result in results:
        identity = _identity(result.recipe)
        known.setdefault((identity, *_beside(result)), result)
        newest.setdefault(identity, result)
    whole = newest.get(_identity(recipe))
    if whole is None:
        return {}
    steps = recipe.get("steps", [])
    found = {}
    for index, step in enumerate(steps):
        shorter = _identity({**recipe, "steps": [*steps[:index], *steps[index + 1 :]]})
        without = known.get((shorter, *_beside(whole)))
        if without is not None or len(steps) == 1:
            found[step["do"]] = _effect(whole, without)
    return found


def _beside(result: Result) -> tuple[str, Metric]:
    """What two results must share for their figures to be held against each other."""
    return result.baseline.engine, Metric.of(result.variant.quality)


def _effect(whole: Result, without: Result | None) -> Effect:
    before = without.variant if without else whole.baseline
    speed = _quotient(whole.speedup, without.speedup) if without else whole.speedup
    kernels = _kernels(whole)
    same_kernels = without is not None and kernels is not None and kernels == _kernels(without)
    few = whole.few_calls or (without is not None and without.few_calls)
    decided = 0 if same_kernels or few else fmt.decided(speed, 1)
    parts = [_quality(before.quality, whole.variant.quality)]
    if decided:
        parts.insert(0, fmt.ratio(speed.value))
    elif before.size_bytes != whole.variant.size_bytes:  # there is one line: the size where the speed is the same
        parts.insert(0, f"{fmt.change(before.size_bytes, whole.variant.size_bytes)} size")
    realities = {layer.reality for layer in whole.receipt}
    parts.append("simulated" if "simulated" in realities else "real" if "real" in realities else "unchanged")
    spread = f"{fmt.significant(speed.low)} – {fmt.ratio(speed.high)}"
    if same_kernels:
        against = "no difference: the same kernels as without it"
    elif decided:
        other = "the recipe without it" if without else f"the baseline, {whole.baseline.engine} fp32"
        against = f"{spread} over {other}"
    elif few or speed.vague:
        against = "not known yet: measured too roughly"
    else:
        against = f"no difference {'with or without it' if without else f'from {whole.baseline.engine} fp32'}: {spread}"
    return {"text": " · ".join(parts), "tone": {1: "better", -1: "worse", 0: ""}[decided], "against": against}


def _quality(before: Quality, after: Quality) -> str:
    """How quality has moved: "−0.02 pt" of a share of what is right, else "0.004 ppm worse"."""
    metric, moved = Metric.of(after), after.value - before.value
    change = fmt.quality_change(moved, metric.unit, before.value, after.value)
    if metric.is_obvious or change[:1] not in "+−":
        return change
    return f"{change[1:]} {'better' if metric.moved(-1) * moved > 0 else 'worse'}"


def _quotient(with_step: Interval, without: Interval) -> Interval:
    """How much faster with the step than without, from the speed-up of each over one and the same baseline.

    Each was measured in alternation with that baseline, so a machine that was slower at one of the two moments
    changes neither. The errors are independent: the half widths of the logarithms add in quadrature.
    """
    value = with_step.value / without.value
    half = math.hypot(*(math.log(each.high / each.low) / 2 for each in (with_step, without)), _RUN_TO_RUN)
    return Interval(value=value, low=value * math.exp(-half), high=value * math.exp(half))


def _kernels(result: Result) -> list[tuple] | None:
    """What computes each layer, on weights of which shape; None where the engine doesn't say of one with weights."""
    layers = [layer for layer in result.receipt if layer.after]
    if not layers or not all(layer.kernel for layer in layers if layer.has_weight):
        return None
    return [(layer.layer, layer.kernel, layer.compute_dtype, layer.after.weight_shape) for layer in layers]


def _identity(recipe: dict[str, Any]) -> str:
    return repr(_sorted(recipe))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return sorted((key, _sorted(item)) for key, item in value.items())
    return [_sorted(item) for item in value] if isinstance(value, list | tuple) else value
