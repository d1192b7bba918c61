from __future__ import annotations

import pytest

from tests.widgets.parts import offered
from workbench.catalog import TechniqueInfo
from workbench.recipe import Recipe
from workbench.widgets import RecipePanel
from workbench.widgets.controls import schema
from workbench.widgets.page import pump


def made_up(name: str, family: str, *later: str) -> TechniqueInfo:
    return TechniqueInfo(name=name, title=name, help="", family=family, works_on="module", later=later, options=())


def test_techniques_stand_in_the_order_in_which_they_happen():
    drawn = schema.panel(offered())
    assert [technique["name"] for technique in drawn["techniques"]] == ["distill", "prune", "quantize"]


def test_techniques_of_a_family_stand_together_where_its_first_one_does():
    techniques = (made_up("last", "A"), made_up("middle", "B", "last"), made_up("first", "A", "middle", "last"))
    drawn = schema.panel(offered().model_copy(update={"techniques": techniques}))
    assert drawn["families"] == [
        {"title": "A", "techniques": ["first", "last"]},
        {"title": "B", "techniques": ["middle"]},
    ]


def test_the_browser_is_told_what_a_technique_s_own_file_says_of_it():
    for technique in schema.panel(offered())["techniques"]:
        first, *more = technique["about"]
        assert first == technique["help"]
        assert more, "a student wants to know why it helps and what it costs"


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"do": "quantize", "scheme": "int8-dynamic"}, "int8 dynamic"),
        ({"do": "prune", "amount": 0.3}, "30 % channels"),
        ({"do": "distill"}, "→ half-width"),
    ],
)
def test_a_step_is_told_in_a_few_words_beside_its_name(step, said):
    panel = RecipePanel(offered())
    panel.recipe = Recipe.parse(steps=[step]).model_dump(mode="json")
    pump.shared().flush()
    assert panel._said == {step["do"]: said}


def test_the_pipeline_begins_with_the_workload_and_its_description(bench, settle):
    settle()
    assert bench.panel.model == {"name": "fashion-cnn", "description": "10,000 images"}
