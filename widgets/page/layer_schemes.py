"""What a person may ask of a single layer: the techniques declare it, the recipe holds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from workbench.catalog import Catalog, OptionInfo, TechniqueInfo
from workbench.events import Blocked
from workbench.receipt import LayerReceipt
from workbench.recipe import Recipe

View = dict[str, Any]

_LAYER = "layer"
_ALL = "*"
_AS_IT_IS = "fp32"


def offered(recipe: Recipe, catalog: Catalog, layer: LayerReceipt, blocked: Mapping[str, Blocked]) -> View:
    """The choices for a layer, which of them is its own ("" for none), and what it is asked to be without that.

    ``refused`` says of those that could do nothing to it why.
    """
    if (found := _declared(catalog)) is None:
        return {}
    technique, option = found
    own, general = "", _AS_IT_IS
    if step := _step(recipe, technique):
        others = dict(getattr(step, option.name))
        own = others.pop(layer.layer, "")
        general = step.model_copy(update={option.name: others}).of_layer(layer.layer)
    refused = blocked[technique.name].kinds.get(layer.op, {}) if technique.name in blocked else {}
    return {
        "layer": layer.layer,
        "choices": list(option.choices),
        "own": own,
        "general": general,
        "refused": {choice: refused[choice] for choice in option.choices if choice in refused},
    }


def chosen(recipe: Recipe, catalog: Catalog, layers: Iterable[LayerReceipt]) -> dict[str, str]:
    """By layer what the recipe asks it to be."""
    return {layer.layer: _of_layer(recipe, catalog, layer.layer) for layer in layers if layer.has_weight}


def with_choice(recipe: Recipe, catalog: Catalog, layer: str, choice: str) -> Recipe:
    """``recipe`` with ``choice`` asked of ``layer``; with nothing of its own where ``choice`` is empty.

    Where no step asks anything yet, one is put in that leaves all other layers as they are; it goes with its last one.
    """
    technique, option = _declared(catalog)
    document = recipe.model_dump(mode="json")
    steps = document["steps"]
    step = next((step for step in steps if step["do"] == technique.name), None)
    if step is None:
        if choice in ("", _AS_IT_IS):
            return recipe
        scheme = next(each.name for each in technique.options if each.precisions)
        step = {"do": technique.name, scheme: choice, option.name: {_ALL: _AS_IT_IS}}
        at = next((i for i, other in enumerate(steps) if other["do"] in technique.later), len(steps))
        steps.insert(at, step)
    entries = {name: value for name, value in step[option.name].items() if name != layer}
    step[option.name] = entries | ({layer: choice} if choice else {})
    if step[option.name] == {_ALL: _AS_IT_IS}:
        steps.remove(step)
    return Recipe.parse(document)


def toggled(recipe: Recipe, catalog: Catalog, layer: str, scheme: str) -> Recipe:
    """``recipe`` with ``layer`` in this scheme, or, where it is already, in what it is without being asked by name.

    Where that is the same scheme, the layer is left as it is in the model.
    """
    if _of_layer(recipe, catalog, layer) != scheme:
        return with_choice(recipe, catalog, layer, scheme)
    without = with_choice(recipe, catalog, layer, "")
    return without if _of_layer(without, catalog, layer) != scheme else with_choice(recipe, catalog, layer, _AS_IT_IS)


def _of_layer(recipe: Recipe, catalog: Catalog, layer: str) -> str:
    """What the recipe asks the layer to be."""
    found = _declared(catalog)
    step = found and _step(recipe, found[0])
    return step.of_layer(layer) if step else _AS_IT_IS


def _step(recipe: Recipe, technique: TechniqueInfo) -> Any:
    """The recipe's step of this technique; ``None`` where it has none."""
    return next((step for step in recipe.steps if step.do == technique.name), None)


def _declared(catalog: Catalog) -> tuple[TechniqueInfo, OptionInfo] | None:
    pairs = ((technique, option) for technique in catalog.techniques for option in technique.options)
    return next((pair for pair in pairs if pair[1].entry == _LAYER), None)
