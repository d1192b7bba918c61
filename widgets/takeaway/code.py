"""Code that makes the faster model in a fresh kernel."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from workbench.recipe import Recipe
from workbench.workload import Workload, is_auto


def python(workload: Workload, recipe: dict[str, Any], baseline: str = "auto") -> str:
    """A few lines of Python that make ``workload``'s model faster by ``recipe``, and say how to measure it again."""
    against = "" if baseline == "auto" else f", baseline={json.dumps(baseline)}"
    searches = Recipe.parse(recipe or None).open_step is not None
    measured = f"wb.run(workload, recipe{against}).result()"
    return "\n".join(
        [
            "import workbench as wb",
            "",
            *_workload_lines(workload),
            f"recipe = wb.Recipe.parse({_laid_out(recipe, _literal)})",
            f"recipe = {measured}.recipe  # the search" if searches else f"# {measured} measures it again",
            "faster = wb.prepare(workload, recipe=recipe)  # from tensors to a tensor: outputs = faster(inputs)",
            "",
        ]
    )


def title(workload: Workload) -> str:
    """What to call that code: some of it only works once the person's own objects are there."""
    objects = _objects(workload)
    return f"Python, once {_listed(objects)} are there" if objects else "Python, runs in a fresh kernel"


def recipe_json(recipe: dict[str, Any]) -> str:
    """The recipe as the one document every part of the system reads."""
    return _laid_out(recipe, json.dumps)


def _laid_out(recipe: dict[str, Any], write: Callable[[Any], str]) -> str:
    """One line for each field, and one for each step."""
    lines = []
    for name, value in recipe.items():
        if isinstance(value, list) and value:
            lines += [
                f'  "{name}": [',
                *(f"    {write(item)}," for item in value[:-1]),
                f"    {write(value[-1])}",
                "  ],",
            ]
        else:
            lines.append(f'  "{name}": {write(value)},')
    if lines:
        lines[-1] = lines[-1].removesuffix(",")
    return "\n".join(["{", *lines, "}"])


def _literal(value: Any) -> str:
    """``value`` as Python writes it, with the double quotes of the surrounding code."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {_literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _workload_lines(workload: Workload) -> list[str]:
    given, objects = _given(workload), _objects(workload)
    if given.keys() == {"model"} and not objects:
        return [f"workload = wb.load({_named(given['model'])})"]
    arguments = [f"{name}={name if name in objects else _named(value)}" for name, value in given.items()]
    comment = (
        [f"# {_listed(objects)}: the objects given to wb.show, to be made here in the same way"] if objects else []
    )
    return [*comment, f"workload = wb.Workload({', '.join(arguments)})"]


def _given(workload: Workload) -> dict[str, Any]:
    parts = {each.name: getattr(workload, each.name) for each in fields(workload)}
    return {name: value for name, value in parts.items() if value is not None and not is_auto(value)}


def _named(value: str | os.PathLike | int | Sequence[str]) -> str:
    return repr(os.fspath(value) if isinstance(value, os.PathLike) else value)


def _objects(workload: Workload) -> list[str]:
    """The parts that no code can name: they live in the notebook that made them."""
    given = _given(workload).items()
    return [name for name, value in given if name != "classes" and not isinstance(value, str | os.PathLike | int)]


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
