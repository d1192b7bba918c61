"""How the plain model became what runs now: the engine, then each step, each with the figures before and after."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from workbench.receipt import Interval, Result, Side
from workbench.widgets import _format as fmt
from workbench.widgets.page import acceptance
from workbench.widgets.page.metric import Metric
from workbench.widgets.page.state import PageState

ENGINE = "place"
"""The name of the first link, where the engine isn't the baseline's; the others are called after their technique."""

RUN_TO_RUN = math.log(1.1)
"""Half a 95 % interval of what two runs of one recipe differ by at different moments, as a logarithm: no repetition
within a run shows it. Of three schemes on ``fashion-cnn``, measured twelve times each by turns, the speed-up varied by
3.8 % (standard deviation; mostly by 1 %, but by 15 % in phases in which the machine's two processors worked together
less well); 1.96·√2 times that is 10.4 %."""


@dataclass(frozen=True)
class Link:
    """One of them. ``after`` is None until it has been measured.

    ``before`` is what it began with, None where that is the baseline itself or hasn't been measured either.
    """

    name: str
    before: Result | None
    after: Result | None
    begins: bool
    """Whether it begins at the baseline."""
    missing: str = ""
    """Why it won't be known, where it isn't; "" while it is to be measured."""

    @property
    def is_known(self) -> bool:
        """Whether both ends have been measured."""
        return self.after is not None and (self.begins or self.before is not None)

    @property
    def side_before(self) -> Side:
        """The figures it began with."""
        return self.after.baseline if self.begins else self.before.variant

    @property
    def speed(self) -> Interval:
        """How much faster it made it.

        Both ends were measured in alternation with the same baseline, so a machine that was slower at one of the two
        moments changes neither. The errors are independent: half widths of the logarithms add in quadrature.
        """
        if self.begins:
            return self.after.speedup
        ratios = self.after.speedup, self.before.speedup
        value = ratios[0].value / ratios[1].value
        half = math.hypot(*(math.log(each.high / each.low) / 2 for each in ratios), RUN_TO_RUN)
        return Interval(value=value, low=value * math.exp(-half), high=value * math.exp(half))

    @property
    def few_calls(self) -> bool:
        """Whether either end rests on too few calls for a verdict."""
        return self.after.few_calls or (not self.begins and self.before.few_calls)

    @property
    def same_kernels(self) -> bool:
        """Whether the same kernels compute weights of the same shapes at both ends: then the speed is the same."""
        if self.begins:
            return False
        kernels = _kernels(self.after)
        return kernels is not None and kernels == _kernels(self.before)

    def gain(self, accepted: float) -> str:
        """The tone of what it made better: "better" where the loss of quality up to its end is accepted."""
        return acceptance.gain(self.after.quality_loss, self.after.baseline.quality, accepted)

    @property
    def decided(self) -> int:
        """1 where it made it faster, -1 where slower, 0 where neither is shown."""
        return 0 if self.same_kernels or self.few_calls else fmt.decided(self.speed, 1)


def whole(state: PageState) -> Result | None:
    """What the recipe that is shown came to, once it has been measured to its end."""
    return _find(state, state.recipe.get("steps", [])) if state.latency and "latency" not in state.stale else None


def plain(state: PageState) -> Result | None:
    """What the untouched model came to on the baseline's engine, placed as what is shown; None if unknown."""
    if state.latency is None:
        return None
    place = {**state.recipe.get("place", {}), "engine": state.latency.baseline_engine}
    recipe = {**state.recipe, "steps": [], "place": place}
    return next((result for result in state.told if result.recipe == recipe), None)


def links(state: PageState) -> list[Link]:
    """Of the recipe that is shown, in the order of its steps; none until that has been measured."""
    if whole(state) is None:
        return []
    steps, engine = state.recipe.get("steps", []), state.latency.baseline_engine
    own_engine = state.recipe.get("place", {}).get("engine") != engine
    ends = [_find(state, steps[:count]) if count or own_engine else None for count in range(len(steps) + 1)]
    missing = ["" if end else _why_missing(state, count) for count, end in enumerate(ends)]
    first = [Link(ENGINE, None, ends[0], begins=True, missing=missing[0])] if own_engine else []
    rest = [
        Link(
            step["do"],
            ends[number],
            ends[number + 1],
            begins=not own_engine and not number,
            missing=missing[number + 1] or missing[number],
        )
        for number, step in enumerate(steps)
    ]
    return first + rest


def _why_missing(state: PageState, count: int) -> str:
    """Why nothing will be known of the first so many steps; "" while they are to be measured."""
    if state.stored:
        return "not measured with this run; “Measure again” tells it"
    return state.unmeasured.get(count, "")


def _find(state: PageState, steps: list[dict[str, Any]]) -> Result | None:
    """The newest result of the recipe with these steps alone, beside the same baseline and by the same metric."""
    recipe = {**state.recipe, "steps": steps}
    for result in state.told:
        same = result.recipe == recipe and result.baseline.engine == state.latency.baseline_engine
        if same and Metric.of(result.variant.quality) == state.metric:
            return result
    return None


def _kernels(result: Result) -> list[tuple] | None:
    """What computes each layer, on weights of which shape; None where the engine doesn't say of one with weights."""
    layers = [layer for layer in result.receipt if layer.after]
    if not layers or not all(layer.kernel for layer in layers if layer.has_weight):
        return None
    return [(layer.layer, layer.kernel, layer.compute_dtype, layer.after.weight_shape) for layer in layers]
