"""What each toggle has done so far: this recipe's figures against those of the same recipe without it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from workbench.receipt import Result
from workbench.widgets import _format as fmt

Effect = dict[str, str]

_SAME_SPEED = (0.9, 1.1)  # two runs of one recipe, at different moments, differ by as much


def effects(recipe: dict[str, Any], results: Iterable[Result]) -> dict[str, Effect]:
    """For each step of ``recipe``, by name: ``{"text": "1.9× · −0.02 pt · real", "tone": "better",
    "against": "against the same recipe without it"}``.

    ``results`` are finished runs of the same workload, newest first. A step has an effect to show
    once both recipes, with it and without it, were measured; their medians are compared, as the history
    shows them, since each may have had a baseline of its own. A step alone in its recipe is compared with
    the baseline where the recipe without it wasn't measured.
    """
    known: dict[str, Result] = {}
    for result in results:
        known.setdefault(_identity(result.recipe), result)
    whole = known.get(_identity(recipe))
    if whole is None:
        return {}
    steps = recipe.get("steps", [])
    found = {}
    for index, step in enumerate(steps):
        without = known.get(_identity({**recipe, "steps": [*steps[:index], *steps[index + 1 :]]}))
        if without is not None:
            found[step["do"]] = _difference(whole, without)
        elif len(steps) == 1:
            found[step["do"]] = _difference(whole, None)
    return found


def _difference(whole: Result, without: Result | None) -> Effect:
    before = without.variant if without else whole.baseline
    speed = before.latency_ms.p50 / whole.variant.latency_ms.p50 if without else whole.speedup.value
    lost = before.accuracy.value - whole.variant.accuracy.value
    size = fmt.change(before.size_bytes, whole.variant.size_bytes)
    # one line beside the toggle: what it does to the size only where it does nothing to the speed
    same_speed = _SAME_SPEED[0] < speed < _SAME_SPEED[1]
    resized = before.size_bytes != whole.variant.size_bytes
    parts = [f"{size} size" if same_speed and resized else fmt.ratio(speed), fmt.points(-lost, 2)]
    realities = {layer.reality for layer in whole.receipt}
    parts.append("simulated" if "simulated" in realities else "real" if "real" in realities else "unchanged")
    tone = "" if same_speed else "better" if speed > 1 else "worse"
    against = "against the same recipe without it" if without else f"against the baseline, {whole.baseline.engine} fp32"
    return {"text": " · ".join(parts), "tone": tone, "against": against}


def _identity(recipe: dict[str, Any]) -> str:
    return repr(_sorted(recipe))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return sorted((key, _sorted(item)) for key, item in value.items())
    return [_sorted(item) for item in value] if isinstance(value, list | tuple) else value
