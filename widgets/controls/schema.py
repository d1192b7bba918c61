"""From the catalog's declarations to the controls of the recipe panel."""

from __future__ import annotations

from typing import Any

from workbench.catalog import Catalog, OptionInfo, TechniqueInfo


def panel(catalog: Catalog) -> dict[str, Any]:
    """Everything the panel's JavaScript needs to draw itself, as JSON."""
    return {
        "techniques": [_technique(technique, catalog) for technique in catalog.techniques],
        "engines": [engine.model_dump() for engine in catalog.engines],
        "devices": [device.model_dump() for device in catalog.devices],
        "preferred": list(catalog.preferred),
        "threads": catalog.threads,
    }


def _technique(technique: TechniqueInfo, catalog: Catalog) -> dict[str, Any]:
    # an option that is no plain value (overrides by layer) has no control; the panel keeps what the recipe says
    plain = [option for option in technique.options if not isinstance(option.default, dict | list | tuple)]
    return {
        "name": technique.name,
        "title": technique.title,
        "help": technique.help,
        "trains": technique.trains,
        "order": technique.order,
        "options": [_option(option, catalog) for option in plain],
    }


def _option(option: OptionInfo, catalog: Catalog) -> dict[str, Any]:
    choices = list(option.choices)
    if option.name == "student" and not choices:
        choices = list(catalog.students)
    control = option.model_dump() | {"choices": choices, "title": _sentence_case(option.title)}
    if choices:
        control["type"] = "choice"
        if control["default"] not in choices:
            control["default"] = choices[0]
    return control


def _sentence_case(title: str) -> str:
    words = title.replace("_", " ").strip()
    return words[:1].upper() + (words[1:].lower() if words.istitle() else words[1:])
