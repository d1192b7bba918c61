"""From the examples whose answers changed to what their widget shows: plain text, and numbers ready to draw."""

from __future__ import annotations

import math
from itertools import groupby
from typing import Any

from workbench.examples import Confusion, Example, Examples, Outcome, Shown
from workbench.widgets import _format as fmt
from workbench.widgets.page.state import PageState

View = dict[str, Any]

_TITLES: dict[Outcome, str] = {
    "lost": "Lost: right before, wrong now",
    "won": "Won: wrong before, right now",
    "other": "Still wrong, in another way",
    "changed": "Changed",
    "worse": "Further off than before, the most first",
}
_TITLES_OF_MASKS: dict[Outcome, str] = {
    "lost": "More pixels wrong than before, the most first",
    "won": "Fewer pixels wrong than before, the most first",
    "other": "As many pixels wrong, but others",
    "changed": "Changed",
}
_RIGHT: dict[Outcome, tuple[bool | None, bool | None]] = {
    "lost": (True, False),
    "won": (False, True),
    "other": (False, False),
    "changed": (None, None),
    "worse": (None, None),
}
"""Whether an answer was and is right; None where it is neither."""
_LINE = 100, 28
"""Width and height that lines are drawn in."""
WORDS = "Looking at the test examples …", "There are no examples to show"
AWAITED = "The test examples that the recipe made the model answer otherwise come as soon as the run has finished."
_NONE_YET = {
    "starting": AWAITED,
    "idle": AWAITED,
    "working": AWAITED,
    "training": AWAITED,
    "searching": AWAITED,
    "cancelled": "The run was cancelled, so there is no model to look at. “Measure again” brings it.",
    "failed": "The run failed, so there is no model to look at.",
    "untrained": "The {work} hasn't begun, and what the model answers is known only after it.",
}
_STORED = "A run of the history keeps its figures, not its model. “Measure again” brings the examples."


def view(found: Examples) -> View:
    """Everything that is shown of ``found``."""
    form, word = _form(found), {"lower": "error", "higher": "score", None: ""}[found.better]
    return {
        "summary": _sentence(str(found)),
        "form": form,
        "figures": _figures(word, found.title, found.unit) if word else "",
        "figure_word": word,
        "groups": [
            _group(found, outcome, list(group)) for outcome, group in groupby(found.examples, lambda each: each.outcome)
        ],
        "legend": [[name, colour] for name, colour in found.legend.items()],
        "confusion": _confusion(found.confusion) if found.confusion else None,
    }


def why_none(state: PageState) -> str:
    """Why the state has no examples that could be asked for; "" where it has."""
    if state.stored:
        return _STORED
    return (
        ""
        if state.phase == "finished" and state.result
        else _NONE_YET.get(state.phase, AWAITED).format(work="search" if state.searches else "training")
    )


def rows(shown: View) -> list[list[str]]:
    """A line of text for each example: its number, what became of it, target, before and after."""
    return [
        [each["number"], group["title"], *(_in_text(each[part]) for part in ("target", "before", "after"))]
        for group in shown.get("groups", ())
        for each in group["items"]
    ]


def _in_text(shown: View | None) -> str:
    return (shown["text"] or shown["figure"]) if shown else ""


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _form(found: Examples) -> str:
    """How much room an example takes: "masks", "text", "line", "picture", or "numbers"."""
    if not found.examples:
        return "numbers"
    first = found.examples[0]
    if first.after.picture:
        return "masks"
    (shown, *_) = first.inputs
    return "picture" if shown.picture else "line" if shown.line else "text" if len(shown.text) > 1 else "numbers"


def _group(found: Examples, outcome: Outcome, examples: list[Example]) -> View:
    """The examples of one outcome, and how many there are where not all of them are shown."""
    of_masks, all_of_them = found.counted == "pixels", found.counts.get(outcome, 0)
    title = (_TITLES_OF_MASKS if of_masks else _TITLES)[outcome]
    part = "" if of_masks or all_of_them <= len(examples) else f" · {len(examples):,} of {all_of_them:,}"
    return {"title": title + part, "outcome": outcome, "items": [_item(each, found) for each in examples]}


def _figures(word: str, title: str, unit: str) -> str:
    """What the examples' figures are: "Error: mean absolute error, ppm"."""
    return ", ".join(filter(None, (f"{word.capitalize()}: {title}", fmt.quality_unit(unit))))


def _item(example: Example, found: Examples) -> View:
    was_right, is_right = _RIGHT[example.outcome]
    before, after = _before_and_after(example.figure, found.unit) if example.figure else ("", "")
    of_masks = bool(example.after.picture)
    return {
        "number": f"{example.number:,}",
        "inputs": [_shown(each) for each in example.inputs],
        "target": _shown(example.target) if example.target else None,
        "before": _shown(example.before) | {"right": None if of_masks else was_right, "figure": before},
        "after": _shown(example.after) | {"right": None if of_masks else is_right, "figure": after},
    }


def _before_and_after(figures: tuple[float, float], unit: str) -> tuple[str, str]:
    """An example's figures as text, with the unit behind the second."""
    before, after = figures
    return fmt.quality_number(before, unit), fmt.unbroken(fmt.quality(after, unit))


def _shown(shown: Shown) -> View:
    points, span = _points(shown.line)
    return {"text": shown.text or span, "picture": shown.picture, "points": points, "note": shown.note, "figure": ""}


def _points(line: tuple[float, ...]) -> tuple[str, str]:
    """The corners of a line for SVG, and in words what it spans."""
    if not line:
        return "", ""
    low, high = min(line), max(line)
    width, height = _LINE
    across, up = width / max(1, len(line) - 1), (height - 2) / ((high - low) or 1)
    corners = (f"{at * across:.1f},{height - 1 - (value - low) * up:.1f}" for at, value in enumerate(line))
    return " ".join(corners), f"{fmt.significant(low)} to {fmt.significant(high)}"


def _confusion(confusion: Confusion) -> View:
    """Both grids of the matrix, as text and how strongly each cell is coloured."""
    pairs = list(zip(confusion.baseline, confusion.variant, strict=True))
    return {
        "classes": list(confusion.classes),
        "now": [_now(number, after) for number, (_, after) in enumerate(pairs)],
        "change": [_changes(number, before, after) for number, (before, after) in enumerate(pairs)],
    }


def _now(number: int, row: tuple[int, ...]) -> list[View]:
    total = sum(row) or 1
    return [
        {"text": f"{count:,}", "tone": "right" if column == number else "wrong", "share": _shade(count / total)}
        for column, count in enumerate(row)
    ]


def _changes(number: int, before: tuple[int, ...], after: tuple[int, ...]) -> list[View]:
    most = max((abs(now - was) for was, now in zip(before, after, strict=True)), default=0) or 1
    return [
        _change(now - was, most, on_diagonal=column == number)
        for column, (was, now) in enumerate(zip(before, after, strict=True))
    ]


def _change(difference: int, most: int, *, on_diagonal: bool) -> View:
    better = (difference > 0) == on_diagonal
    tone = "" if not difference else "better" if better else "worse"
    text = fmt.signed_text(f"{difference:+,}") if difference else "0"
    return {"text": text, "tone": tone, "share": _shade(abs(difference) / most)}


def _shade(share: float) -> float:
    """How strongly a cell is coloured, 0…1: the root, so that what is rarely taken for something else still shows."""
    return round(math.sqrt(share), 2)
