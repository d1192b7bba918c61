"""A run in words, on one screen: the verdict, what each step did, what is real, and where it was measured."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from workbench.receipt import LayerReceipt, Reality
from workbench.recipe import Recipe
from workbench.widgets.page import chain, layers, verdict, views
from workbench.widgets.page.effects import effects
from workbench.widgets.page.state import PageState

View = dict[str, Any]
Mark = Literal["", "stale", "recalled"]


def view(state: PageState, titles: dict[str, str]) -> View:
    """Clauses and sentence of the verdict, steps, realities, notices, facts; ``titles`` are the techniques' by name."""
    judged = verdict.view(state)
    return {
        "heading": f"{state.workload} · {Recipe.parse(state.recipe or Recipe.plain()).summary()}",
        "clauses": judged["clauses"],
        "sure": judged["sure"],
        "sentence": state.verdict,
        "recalled": views.recalled_note(state),
        "steps": _steps(state, titles),
        "realities": realities(state.receipt),
        "notices": list(state.result.notices if state.result else state.notices),
        "facts": views.facts(state.environment),
    }


def mark(state: PageState) -> Mark:
    """ "stale" while a run is on or where a part is of the run before; "recalled" of an earlier run of the recipe."""
    return "stale" if state.busy or state.stale else "recalled" if state.recalled else ""


def realities(receipt: Iterable[LayerReceipt]) -> list[View]:
    """How many layers with weights really run in what, are simulated, or are unchanged, and why: a line for each."""
    weighted = [layer for layer in receipt if layer.has_weight and layer.after]
    alike: dict[tuple[Reality, str], list[LayerReceipt]] = {}
    for layer in weighted:
        alike.setdefault((layer.reality, layers.dtype(layer.compute_dtype or "")), []).append(layer)
    return [
        {
            "reality": reality,
            "text": f"{_of(len(group), len(weighted))} {_fate(reality, computed, len(group))}",
            "why": "; ".join(dict.fromkeys(layer.reason for layer in group if layer.reason)),
        }
        for (reality, computed), group in sorted(alike.items(), key=lambda item: _ORDER.index(item[0][0]))
    ]


_ORDER: tuple[Reality, ...] = ("real", "simulated", "unchanged")


def _fate(reality: Reality, computed: str, count: int) -> str:
    within = f" in {computed}" if computed else ""
    runs, is_, stays = ("runs", "is", "stays") if count == 1 else ("run", "are", "stay")
    words = {
        "real": f"{runs}{within}",
        "simulated": f"{is_} simulated{f', computed{within}' if within else ''}",
        "unchanged": f"{stays} as before{f',{within}' if within else ''}",
    }
    return words[reality]


def _of(count: int, total: int) -> str:
    if total == 1:
        return "The layer with weights"
    return f"{f'All {total}' if count == total else f'{count} of {total}'} layers with weights"


def _steps(state: PageState, titles: dict[str, str]) -> list[View]:
    """Engine, where it isn't the baseline's, and steps, in their order, each with its share of the gain."""
    told, options = effects(state), {step.do: step.now() for step in Recipe.parse(state.recipe or None).steps}
    unknown = {"text": "measured as soon as nothing else runs", "tone": "", "against": ""}
    return [
        {
            "title": "Run on" if link.name == chain.ENGINE else titles.get(link.name, link.name),
            "what": state.recipe["place"]["engine"] if link.name == chain.ENGINE else options.get(link.name, ""),
            **told.get(link.name, unknown),
        }
        for link in chain.links(state)
    ]
