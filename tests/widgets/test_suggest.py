from __future__ import annotations

from tests.results import a_result
from tests.widgets.parts import offered
from workbench import events
from workbench.receipt import Interval
from workbench.recipe import Recipe
from workbench.widgets.page import suggest

PLAIN = Recipe.plain()
INT8 = Recipe.parse(steps=[{"do": "quantize"}], place={"engine": "auto"})


def names(recipe: Recipe = PLAIN, asked=(PLAIN,), blocked=None, stored=()) -> list[str]:
    return [each.name for each in suggest.suggestions(recipe, offered(), asked, blocked or {}, stored)]


def test_each_technique_that_is_off_is_one_click_away_the_cheapest_first():
    assert names() == [
        "Quantize int8",
        "Prune 50 % channels, trains for 1 epoch",
        "Distill → half-width, trains for 2 epochs",
    ]


def test_the_best_engine_is_offered_where_another_one_was_chosen():
    chosen = Recipe.parse(place={"engine": "openvino"})
    assert names(chosen, [chosen])[0] == "The best engine here"


def test_what_the_page_has_asked_for_is_not_offered_again_whatever_its_engine_was_called():
    assert "Quantize int8" not in names(asked=[PLAIN, INT8])
    named = INT8.model_copy(update={"place": INT8.place.model_copy(update={"engine": "eager"})})
    assert "Quantize int8" not in names(asked=[PLAIN, named])


def test_what_could_do_nothing_to_this_model_is_not_offered():
    assert "Quantize int8" not in names(blocked={"quantize": events.Blocked(reason="nothing to quantize")})


def test_a_step_is_put_where_it_belongs():
    prune, *_ = suggest.suggestions(INT8, offered(), [INT8], {}, [])
    assert [step.do for step in prune.recipe.steps] == ["prune", "quantize"]


def test_a_gain_is_told_only_of_a_stored_run_of_the_same_recipe():
    placed = INT8.model_copy(update={"place": INT8.place.model_copy(update={"engine": "eager"})})
    run = a_result().model_copy(update={"recipe": placed.model_dump(mode="json")})
    first, *others = suggest.suggestions(PLAIN, offered(), [PLAIN], {}, [run])
    assert first.gain == "2.00× faster than eager in an earlier run"
    assert {each.gain for each in others} == {""}


def test_no_gain_is_told_where_the_run_showed_none():
    run = a_result().model_copy(update={"recipe": INT8.model_dump(mode="json")})
    run = run.model_copy(update={"speedup": Interval(value=1.1, low=0.9, high=1.3)})
    assert {each.gain for each in suggest.suggestions(PLAIN, offered(), [PLAIN], {}, [run])} == {""}


def test_a_run_of_another_version_is_passed_over():
    assert names(stored=[a_result().model_copy(update={"recipe": {"workbench_recipe": 99}})])


def test_a_click_applies_the_recipe_and_it_is_offered_no_more(bench, session, settle):
    settle()
    offer = bench.next.offers[0]
    bench.next.taken = {"recipe": offer["recipe"], "at": 1}
    settle()
    assert session.submitted[-1][2] == Recipe.parse(offer["recipe"])
    assert offer["recipe"] not in [each["recipe"] for each in bench.next.offers]
