"""A scheme for one layer, chosen where the layer is unfolded."""

from __future__ import annotations

from tests.widgets.parts import offered
from workbench.recipe import Recipe
from workbench.widgets.page import layer_schemes

PLAIN = Recipe.plain()
INT8 = Recipe.parse(steps=[{"do": "quantize"}])


def with_choice(recipe: Recipe, layer: str, choice: str) -> Recipe:
    return layer_schemes.with_choice(recipe, offered(), layer, choice)


def choices(recipe: Recipe, layer: str = "fc1") -> dict:
    return layer_schemes.offered(recipe, offered(), layer)


def test_a_layer_may_have_any_scheme_of_integers_or_none():
    found = choices(INT8)
    assert found | {"choices": []} == {"layer": "fc1", "choices": [], "own": "", "general": "int8-static"}
    assert {"fp32", "int8-static", "int4-weights", "binary-weights"} <= {*found["choices"]}
    assert "bf16" not in found["choices"]


def test_what_is_chosen_joins_the_recipe_and_leaves_it_again():
    chosen = with_choice(INT8, "fc1", "int4-weights")
    assert chosen.steps[0].overrides == {"fc1": "int4-weights"}
    assert choices(chosen)["own"] == "int4-weights"
    assert choices(chosen)["general"] == "int8-static"
    assert choices(chosen, "fc2")["own"] == ""
    assert with_choice(chosen, "fc1", "") == INT8


def test_on_a_plain_model_all_others_stay_as_they_are_and_the_step_goes_with_its_last_layer():
    chosen = with_choice(PLAIN, "fc1", "int4-weights")
    assert chosen.steps[0].of_layer("fc1") == "int4-weights"
    assert chosen.steps[0].of_layer("fc2") == "fp32"
    assert choices(chosen, "fc2")["general"] == "fp32"
    assert with_choice(chosen, "fc1", "") == PLAIN
    assert with_choice(PLAIN, "fc1", "fp32") == PLAIN


def test_a_step_is_put_where_it_belongs():
    pruned = Recipe.parse(steps=[{"do": "prune"}])
    assert [step.do for step in with_choice(pruned, "fc1", "int8-static").steps] == ["prune", "quantize"]
    distilled = with_choice(Recipe.parse(steps=[{"do": "distill"}]), "fc1", "int8-static")
    assert [step.do for step in distilled.steps] == ["distill", "quantize"]


def test_a_choice_on_the_page_becomes_a_run(bench, session, settle):
    bench.layers.selected = "fc1"
    settle()
    assert bench.layers.schemes["layer"] == "fc1"
    bench.layers.asked = {"layer": "fc1", "choice": "int4-weights", "at": 1}
    settle()
    assert session.submitted[-1][2].steps[0].of_layer("fc1") == "int4-weights"
    assert bench.layers.schemes["own"] == "int4-weights"
