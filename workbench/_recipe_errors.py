"""Validation errors of a recipe, told in one line."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ValidationError

from workbench.errors import unknown

_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "string": "a text",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "dict": "an object",
    "model": "an object",
}
_LIMITS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")


Model = type[BaseModel]


def one_line(
    error: ValidationError, document: dict[str, Any], recipe: Model, place: Model, technique: Callable[[str], Model]
) -> str:
    """The first problem as one sentence: the field, its value, and what would be valid.

    Parameters
    ----------
    document
        What was to be read.
    recipe, place
        The models of a recipe and of its placement, for the names and limits of their fields.
    technique
        Gives the model of a step by its name.
    """
    first = error.errors()[0]
    owner, of, path = _owner(first["loc"], document, recipe, place, technique)
    value = reprlib.repr(first["input"])
    kind = first["type"]
    if not path:
        return f"{of.strip()} is an object, not {value}"
    name = path[0]
    if kind == "extra_forbidden" and owner is recipe and name in place.model_fields:
        return f"{name!r} is a field of place; write place={json.dumps({name: first['input']}, default=repr)}"
    if kind == "extra_forbidden":
        return unknown(f"{of}field", name, [field for field in owner.model_fields if field != "do"])
    if kind == "literal_error":
        return unknown(".".join(map(str, path)), first["input"], re.findall(r"'([^']*)'", first["ctx"]["expected"]))
    field = _schema(owner, name)
    if kind in _LIMITS:
        return f"{of}{name} is {_range(field)}, not {value}"
    if kind == "string_pattern_mismatch":
        return f"{of}{name} is {field['description']}, not {value}"
    if expected := _KINDS.get(kind.split("_")[0]):
        return f"{of}{name} is {expected}, not {value}"
    return f"{of}{name}: {first['msg']}, got {value}"


def _owner(
    location: tuple, document: dict[str, Any], recipe: Model, place: Model, technique: Callable[[str], Model]
) -> tuple[Model, str, tuple]:
    """The model a location lies in, how to name it, and the rest of the location."""
    match location:
        case ("place", *path):
            return place, "place ", tuple(path)
        case ("steps", int(index), *path) if path:
            step = document["steps"][index]["do"]
            return technique(step), f"{step} ", tuple(path)
    return recipe, "", location


def _schema(owner: Model, name: str) -> dict[str, Any]:
    field = owner.model_json_schema()["properties"].get(name, {})
    return {**field.get("anyOf", [{}])[0], **field}


def _range(field: dict[str, Any]) -> str:
    low = field.get("minimum", field.get("exclusiveMinimum"))
    high = field["maximum"] if "maximum" in field else field.get("exclusiveMaximum")
    if low is None or high is None:
        return f"at least {low:g}" if high is None else f"at most {high:g}"
    if "exclusiveMinimum" in field:
        return f"above {low:g} and up to {high:g}"
    below = "below " if "maximum" not in field else ""
    return f"between {low} and {below}{high}"
