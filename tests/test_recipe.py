from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench import engines, techniques
from workbench.errors import RecipeError
from workbench.machine.limits import usable_threads
from workbench.recipe import VERSION, Place, Recipe

settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")
WORDS = st.text("abc.0_é ", max_size=8)


def values(field: dict) -> st.SearchStrategy:
    """Any value that a field's JSON schema allows."""
    if "anyOf" in field:
        return st.one_of([values(option) for option in field["anyOf"]])
    if "enum" in field:
        return st.sampled_from(field["enum"])
    if "const" in field:
        return st.just(field["const"])
    low, high = field.get("minimum", field.get("exclusiveMinimum")), field.get("maximum")
    match field["type"]:
        case "integer":
            return st.integers(low, field.get("exclusiveMaximum", (high or 0) + 1) - 1)
        case "number":
            return st.floats(low, high, exclude_min="exclusiveMinimum" in field)
        case "object":
            return st.dictionaries(WORDS, values(field["additionalProperties"]), max_size=3)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
    raise AssertionError(f"no strategy for {field}")


def documents(model, **fixed: st.SearchStrategy) -> st.SearchStrategy[dict]:
    """Documents of a pydantic model with any subset of its fields."""
    fields = {
        name: values(field) for name, field in model.model_json_schema()["properties"].items() if name not in fixed
    }
    return st.fixed_dictionaries(fixed, optional=fields)


def allowed(document: dict) -> bool:
    """Whether a step keeps the limits that depend on another field."""
    if document["do"] == "prune":
        return document.get("kind") == "weights" or document.get("amount", 0) <= 0.9
    if document.get("scheme") == "auto":
        return document.get("budget", 1) is not None and not document.get("epochs")
    return document.get("budget") is None


def steps_of(names: list[str]) -> st.SearchStrategy[dict]:
    return st.one_of([documents(techniques.find(name), do=st.just(name)) for name in names]).filter(allowed)


MODULE_STEPS = [name for name, technique in techniques.registered().items() if technique.works_on == "module"]
GRAPH_STEPS = [name for name, technique in techniques.registered().items() if technique.works_on == "graph"]
PLACES = documents(
    Place,
    engine=st.sampled_from(["auto", *engines.registered()]),
    device=st.one_of(st.sampled_from(["cpu", "mps"]), st.integers(0, 9).map("cuda:{}".format)),
)
RECIPES = st.builds(
    lambda before, last, place, seed: {"steps": before + last, "place": place, "seed": seed},
    st.lists(steps_of(MODULE_STEPS), max_size=3),
    st.lists(steps_of(GRAPH_STEPS), max_size=1),
    PLACES,
    st.integers(0, 2**32 - 1),
)


def message(document=None, **fields) -> str:
    with pytest.raises(RecipeError) as caught:
        Recipe.parse(document, **fields)
    return str(caught.value)


@given(RECIPES)
def test_any_recipe_survives_json(document):
    recipe = Recipe.parse(document)
    again = Recipe.parse(recipe.to_json())
    assert again == recipe
    assert again.key() == recipe.key()
    assert json.loads(recipe.to_json())["workbench_recipe"] == VERSION


@given(RECIPES, RECIPES)
def test_keys_are_equal_exactly_where_recipes_are(one, other):
    first, second = Recipe.parse(one), Recipe.parse(other)
    assert (first.key() == second.key()) == (first == second)


@given(RECIPES)
def test_every_recipe_has_a_summary_of_one_line_and_a_key_per_step(document):
    recipe = Recipe.parse(document)
    assert recipe.summary().isprintable()
    assert len(set(recipe.step_keys())) == len(recipe.steps)


def test_recipes_that_differ_in_one_thing_read_differently():
    prune, quantize, distill = {"do": "prune"}, {"do": "quantize"}, {"do": "distill"}
    steps = [
        [],
        *([{**prune, **change}] for change in ({}, {"amount": 0.4}, {"kind": "weights"}, {"criterion": "l2"})),
        *([{**prune, **change}] for change in ({"finetune_epochs": 0}, {"learning_rate": 0.01})),
        *([{**quantize, **change}] for change in ({}, {"calibration": "percentile"}, {"overrides": {"conv1": "fp32"}})),
        *([{**distill, **change}] for change in ({}, {"temperature": 2.0}, {"labels": "hard"})),
        [distill, prune, quantize],
    ]
    places = [{"batch": 64}, {"engine": "eager"}, {"device": "cuda:0"}, {"threads": usable_threads() + 1}]
    recipes = [Recipe.parse(steps=each) for each in steps] + [Recipe.parse(place=place) for place in places]
    recipes.append(Recipe.parse(seed=1))
    assert len({recipe.summary() for recipe in recipes}) == len(recipes)


@given(RECIPES)
def test_the_order_of_fields_does_not_change_the_key(document):
    backwards = {name: document[name] for name in reversed(document)}
    backwards["steps"] = [{name: step[name] for name in reversed(step)} for step in document["steps"]]
    assert Recipe.parse(backwards).key() == Recipe.parse(document).key()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
PLACES_TO_SPOIL = [("seed",), ("steps",), ("place",), ("workbench_recipe",), ("place", "batch"), ("place", "engine")]
STEPS_TO_SPOIL = [("do",), ("amount",), ("kind",), ("finetune_epochs",), ("nonsense",)]


@given(st.sampled_from(PLACES_TO_SPOIL), JSON)
def test_whatever_stands_in_a_field_is_read_or_refused_in_one_line(path, value):
    document = value
    for name in reversed(path):
        document = {name: document}
    read_or_refused(document)


@given(st.sampled_from(STEPS_TO_SPOIL), JSON)
def test_whatever_stands_in_a_step_is_read_or_refused_in_one_line(path, value):
    read_or_refused({"steps": [{"do": "prune", path[0]: value}]})


def read_or_refused(document: dict) -> None:
    try:
        Recipe.parse(document)
        told = "read"
    except RecipeError as error:
        told = str(error)
    assert told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"stesp": []}, "field 'stesp' is not known; did you mean steps?"),
        ({"place": {"engin": "eager"}}, "place field 'engin' is not known; did you mean engine?"),
        ({"place": {"engine": "eagre"}}, "engine 'eagre' is not known; did you mean eager?"),
        ({"place": {"device": "gpu"}}, "place device is cpu, cuda:N or mps, not 'gpu'"),
        ({"place": {"batch": 0}}, "place batch is between 1 and 4096, not 0"),
        ({"place": {"threads": 1.5}}, "place threads is a whole number, not 1.5"),
        ({"steps": [{"do": "quantise"}]}, "technique 'quantise' is not known; did you mean quantize?"),
        (
            {"steps": [{"do": "quantize", "scheme": "itn8"}]},
            "scheme 'itn8' is not known; did you mean int8 or int7 or int6?",
        ),
        (
            {"steps": [{"do": "quantize", "schema": "int8"}]},
            "quantize field 'schema' is not known; did you mean scheme?",
        ),
        ({"steps": [{"do": "prune", "amount": 1.5}]}, "prune amount is between 0 and 0.99, not 1.5"),
        ({"steps": [{"do": "prune", "amount": 0.95}]}, "prune amount is between 0 and 0.9 for channels, not 0.95"),
        ({"steps": [{"do": "prune", "amount": "lots"}]}, "prune amount is a number, not 'lots'"),
        ({"steps": [{"do": "distill", "temperature": 0}]}, "distill temperature is between 1 and 20, not 0"),
        ({"steps": [{"amount": 0.5}]}, "a step is an object with a field 'do', not {'amount': 0.5}"),
        ({"steps": [{"do": ["prune"]}]}, "a step's 'do' is the name of a technique, not ['prune']"),
        ({"seed": -1}, "seed is between 0 and below 4294967296, not -1"),
        (
            [1, 2],
            'a recipe is a JSON object like {"steps": [{"do": "quantize"}], "place": {"engine": "eager"}}, not list',
        ),
        ({"engine": "native"}, """'engine' is a field of place; write place={"engine": "native"}"""),
        ({"threads": 2}, """'threads' is a field of place; write place={"threads": 2}"""),
        (
            {"place": {"engine": "foo"}},
            "engine 'foo' is not known; one of auto, compiled, eager, native, onnxruntime, openvino",
        ),
        ('{"steps": [}', "not a recipe: invalid JSON at line 1 (Expecting value)"),
    ],
)
def test_what_is_wrong_is_told_with_its_value_and_what_would_be_right(document, expected):
    assert message(document) == expected


def test_a_recipe_of_a_newer_version_asks_for_an_upgrade():
    assert "made by a newer workbench" in message({"workbench_recipe": VERSION + 1, "fields": "of the future"})


@pytest.mark.parametrize("name", MODULE_STEPS)
def test_nothing_that_changes_the_model_comes_after_quantize(name):
    assert message(steps=[{"do": "quantize"}, {"do": name}]).startswith(f"'{name}' can't come after 'quantize'")


def test_quantizing_twice_is_refused():
    assert message(steps=[{"do": "quantize"}, {"do": "quantize"}]).startswith("'quantize' can't come after")


@pytest.mark.parametrize(("short", "full"), [("int8", "int8-static"), ("dynamic", "int8-dynamic"), ("bf16", "bf16")])
def test_short_names_of_schemes_mean_the_same_recipe(short, full):
    recipe = Recipe.parse(steps=[{"do": "quantize", "scheme": short}])
    assert recipe.key() == Recipe.parse(steps=[{"do": "quantize", "scheme": full}]).key()
    assert recipe.precision == full


def test_cuda_alone_means_the_first_one():
    assert Recipe.parse(place={"device": "cuda"}).key() == Recipe.parse(place={"device": "cuda:0"}).key()


def test_the_key_of_a_step_does_not_depend_on_what_follows():
    prune, quantize = {"do": "prune"}, {"do": "quantize"}
    assert Recipe.parse(steps=[prune]).step_keys() == Recipe.parse(steps=[prune, quantize]).step_keys()[:1]


def test_every_option_has_a_title_a_line_of_help_and_a_default_that_is_allowed():
    for name, technique in techniques.registered().items():
        assert technique().do == name
        for field in technique.model_json_schema()["properties"].values():
            if "const" not in field:
                assert field["title"]
                assert field["description"].isprintable()
                assert "default" in field


def test_reading_a_recipe_needs_no_torch():
    code = """
import sys
from workbench.recipe import Recipe
Recipe.parse(steps=[{"do": "distill"}, {"do": "prune"}, {"do": "quantize"}])
print([name for name in ("torch", "torchao", "torch_pruning", "onnx", "openvino") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
