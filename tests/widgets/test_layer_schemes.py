"""A scheme for one layer, chosen where the layer is unfolded."""

from __future__ import annotations

from tests.results import a_result
from tests.widgets.parts import offered
from workbench import events
from workbench.events import Blocked
from workbench.receipt import LayerReceipt
from workbench.recipe import Recipe
from workbench.widgets.page import layer_schemes

PLAIN = Recipe.plain()
INT8 = Recipe.parse(steps=[{"do": "quantize"}])


def with_choice(recipe: Recipe, layer: str, choice: str) -> Recipe:
    return layer_schemes.with_choice(recipe, offered(), layer, choice)


def choices(recipe: Recipe, layer: str = "fc1", **blocked: Blocked) -> dict:
    state = {"before": None, "after": None, "kernel": None, "compute_dtype": None, "reality": "unchanged"}
    return layer_schemes.offered(recipe, offered(), LayerReceipt(layer=layer, op="Linear", **state), blocked)


def test_a_layer_may_have_any_scheme_of_integers_or_none():
    found = choices(INT8)
    assert [found[name] for name in ("layer", "own", "general", "refused")] == ["fc1", "", "int8-static", {}]
    assert {"fp32", "int8-static", "int4-weights", "binary-weights"} <= {*found["choices"]}
    assert "bf16" not in found["choices"]


def test_what_could_do_nothing_to_such_a_layer_says_why():
    kinds = {"Linear": {"int4-weights": "for others"}, "Conv2d": {"int8-dynamic": "for linear layers"}}
    assert choices(INT8, quantize=Blocked(kinds=kinds))["refused"] == {"int4-weights": "for others"}


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
    session.say(events.Layers(run=session.last, receipt=a_result().receipt))
    settle()
    bench.layers.selected = "conv1"
    settle()
    assert bench.layers.schemes["layer"] == "conv1"
    bench.layers.asked = {"layer": "conv1", "choice": "int8-static", "at": 1}
    settle()
    assert session.submitted[-1][2].steps[0].of_layer("conv1") == "int8-static"
    assert session.submitted[-1][2].steps[0].of_layer("conv2") == "fp32"
    assert bench.layers.schemes["own"] == "int8-static"
