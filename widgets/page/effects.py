"""What each step has done, beside its toggle: its link of the chain in a few words."""

from __future__ import annotations

from workbench.receipt import Quality
from workbench.widgets import _format as fmt
from workbench.widgets.page import chain
from workbench.widgets.page.metric import Metric
from workbench.widgets.page.state import PageState

Effect = dict[str, str]


def effects(state: PageState) -> dict[str, Effect]:
    """For each link that was measured, by name: ``{"text": "1.9× · −0.02 pt · real", "tone": "better",
    "against": "1.8 – 2.0× over the recipe before it"}``."""
    return {link.name: _effect(link, state) for link in chain.links(state) if link.is_known}


def _effect(link: chain.Link, state: PageState) -> Effect:
    before, after, speed = link.side_before, link.after.variant, link.speed
    parts = [state.recipe["place"]["engine"]] if link.name == chain.ENGINE else []
    if link.decided:
        parts.append(fmt.ratio(speed.value) if link.decided > 0 else fmt.times(speed.value))
    elif before.size_bytes != after.size_bytes:  # there is one line: the size where the speed is the same
        parts.append(f"{fmt.change(before.size_bytes, after.size_bytes)} size")
    parts.append(_quality(before.quality, after.quality))
    if link.name != chain.ENGINE:
        realities = {layer.reality for layer in link.after.receipt}
        parts.append("simulated" if "simulated" in realities else "real" if "real" in realities else "unchanged")
    return {
        "text": " · ".join(parts),
        "tone": {1: link.gain(state.accepted), -1: "worse", 0: ""}[link.decided],
        "against": _against(link),
    }


def _against(link: chain.Link) -> str:
    speed, baseline = link.speed, f"{link.after.baseline.engine} {link.after.baseline.precision}"
    spread = f"{fmt.significant(speed.low)} – {fmt.ratio(speed.high)}"
    if link.same_kernels:
        return "no difference: the same kernels as without it"
    before = f"the baseline, {baseline}" if link.begins else "what comes before it"
    if link.decided:
        return f"{spread} over {before}" if link.decided > 0 else f"{fmt.speed_range(speed)} than {before}"
    if link.few_calls or speed.vague:
        return "measured too roughly to tell"
    return f"no difference {f'from {baseline}' if link.begins else 'with or without it'}: {spread}"


def _quality(before: Quality, after: Quality) -> str:
    """How quality has moved: "−0.02 pt" of a share of what is right, else "0.004 ppm worse"."""
    metric, moved = Metric.of(after), after.value - before.value
    change = fmt.quality_change(moved, metric.unit, before.value, after.value)
    if metric.is_obvious or change[:1] not in "+−":
        return change
    return f"{change[1:]} {'better' if metric.moved(-1) * moved > 0 else 'worse'}"
