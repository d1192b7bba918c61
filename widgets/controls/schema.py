"""From the catalog's declarations to the controls of the recipe panel.

What is decided here isn't decided again in JavaScript: which control an option gets, how its values are written,
what its choices ask for and where a step belongs.
"""

from __future__ import annotations

from typing import Any

from workbench.catalog import Catalog, OptionInfo, TechniqueInfo
from workbench.widgets.page import acceptance

_MOST_CHARACTERS_SIDE_BY_SIDE = 56
"""Of all choices of an option: what two lines hold."""
_PERCENT = "fraction"
_ACCEPTED = "accepted loss"
_SUFFIXES = {_PERCENT: " %", "epochs": " ep."}
_LONGEST_SUFFIX = 3
"""Characters of a unit that stands beside its number; a longer one stands in the option's help alone."""


def panel(catalog: Catalog) -> dict[str, Any]:
    """Everything the panel's JavaScript needs to draw itself, as JSON."""
    # what happens first has the most behind it
    in_order = sorted(catalog.techniques, key=lambda technique: -len(technique.later))
    return {
        "techniques": [_technique(technique) for technique in in_order],
        "families": _families(in_order),
        "engines": [engine.model_dump() for engine in catalog.engines],
        "devices": [device.model_dump() for device in catalog.devices],
        "preferred": list(catalog.preferred),
        "threads": catalog.threads,
    }


def _families(techniques: list[TechniqueInfo]) -> list[dict[str, Any]]:
    """Techniques of one family together, where the first of them stands."""
    families: dict[str, list[str]] = {}
    for technique in techniques:
        families.setdefault(technique.family, []).append(technique.name)
    return [{"title": title, "techniques": names} for title, names in families.items()]


def _technique(technique: TechniqueInfo) -> dict[str, Any]:
    # an option that is no plain value (overrides by layer) has no control; the panel keeps what the recipe says
    plain = [option for option in technique.options if not isinstance(option.default, dict | list | tuple)]
    return {
        "name": technique.name,
        "title": technique.title,
        "help": technique.help,
        "about": list(technique.about),
        "family": technique.family,
        "later": list(technique.later),
        "mappings": [option.name for option in technique.options if option.entry],
        "options": [_option(option) for option in plain],
    }


def _option(option: OptionInfo) -> dict[str, Any]:
    choices = list(option.choices)
    control = _control(option, choices)
    default = option.default if not choices or option.default in choices else choices[0]
    return {
        "name": option.name,
        "title": _sentence_case(option.title),
        "help": option.help,
        "control": control,
        "default": default,
        "choices": [
            {
                "value": choice,
                "text": choice.replace("-", " ") if control == "segmented" else choice,
                "precision": option.precisions.get(choice),
                "heading": option.headings.get(choice, ""),
                "help": option.choices_help.get(choice, ""),
            }
            for choice in choices
        ],
        "whole": option.type == "integer",
        "minimum": option.minimum,
        "maximum": option.maximum,
        "written": _written(option.unit),
        "steps": [round(step / 100, 6) for step in acceptance.SPENT] if control == "stepper" else [],
        "trains": option.trains,
        "when": option.when,
        "maximum_when": option.maximum_when,
        "default_when": option.default_when,
    }


def _control(option: OptionInfo, choices: list[str]) -> str:
    """Which of the panel's controls sets the option."""
    if choices:
        return "choice" if len(",".join(choices)) > _MOST_CHARACTERS_SIDE_BY_SIDE else "segmented"
    if option.unit == _ACCEPTED:
        return "stepper"
    if option.type in ("number", "integer"):
        return "number" if option.minimum is None or option.maximum is None else "slider"
    return "flag" if option.type == "flag" else "text"


def _written(unit: str) -> dict[str, Any]:
    """How a number is written: as it is or in percent, and what stands behind it."""
    short = f" {unit}" if 0 < len(unit) <= _LONGEST_SUFFIX else ""
    return {"percent": unit == _PERCENT, "suffix": _SUFFIXES.get(unit, short)}


def _sentence_case(title: str) -> str:
    words = title.replace("_", " ").strip()
    return words[:1].upper() + (words[1:].lower() if words.istitle() else words[1:])
