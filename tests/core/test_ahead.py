from __future__ import annotations

from workbench.ahead import neighbours
from workbench.core import completions
from workbench.recipe import Recipe

START = completions(Recipe.parse(place={"engine": "eager", "threads": 1}))[0]


def test_the_flip_of_a_toggle_comes_before_another_engine():
    first, *others = neighbours(START)
    assert [step.do for step in first.steps] == ["quantize"]
    assert others[-1].place.engine != "eager"


def test_nothing_that_trains_or_takes_seconds_is_made_ahead():
    for recipe in neighbours(START):
        assert all(step.training_epochs() == 0 for step in recipe.steps)
        assert recipe.place.engine != "compiled"


def test_each_neighbour_is_offered_once_and_never_the_present_one():
    keys = [recipe.key() for recipe in neighbours(START)]
    assert len(keys) == len(set(keys))
    assert START.key() not in keys


def test_the_way_back_is_among_them():
    quantized = Recipe.parse(steps=[{"do": "quantize"}], place={"engine": "eager", "threads": 1})
    assert START.key() in [recipe.key() for recipe in neighbours(quantized)]


def test_under_auto_the_schemes_of_other_engines_are_made_ahead_too():
    quantized = Recipe.parse(steps=[{"do": "quantize"}])
    schemes = {recipe.precision for recipe in neighbours(quantized)}
    assert schemes == {"fp32", "int8-static", "int8-dynamic", "bf16"}
