from __future__ import annotations

import json

import pytest

from workbench.recipe import Recipe
from workbench.widgets import Workbench

INT8 = Recipe.parse(steps=[{"do": "quantize"}]).model_dump(mode="json")


@pytest.fixture
def bench(session):
    widget = Workbench(session=session)
    yield widget
    widget.close()


def opened_by(bench: Workbench, **asked: str) -> None:
    """What a browser does that draws the page at such an address."""
    bench.frame.restored = {"workload": "", "recipe": "", "baseline": "", **asked}
    bench.frame.views += 1


def test_a_link_opens_on_its_workload_recipe_and_baseline(bench, session):
    opened_by(bench, workload="fashion-mlp", recipe=json.dumps(INT8), baseline="native")
    _, workload, recipe = session.submitted[-1]
    assert (workload.display_name, recipe, session.baselines[-1]) == ("fashion-mlp", Recipe.parse(INT8), "native")
    assert bench.panel.recipe == INT8


def test_what_a_link_asks_for_is_measured_once(bench, session):
    opened_by(bench, workload="fashion-mlp", recipe=json.dumps(INT8), baseline="eager")
    assert len(session.submitted) == 1


def test_a_link_may_leave_out_what_stays_as_it_is(bench, session):
    opened_by(bench, workload="fashion-mlp")
    assert session.submitted[-1][1].display_name == "fashion-mlp"
    assert session.submitted[-1][2] == Recipe.plain()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"workload": "fashion-mpl"}, "fashion-mlp"),
        ({"recipe": '{"steps": [{"do": "quantise"}]}'}, "did you mean quantize"),
        ({"recipe": "{"}, "invalid JSON"),
        ({"baseline": "eagre"}, "eager"),
    ],
)
def test_a_link_that_can_not_be_followed_says_why_and_shows_what_there_is(bench, session, settle, asked, said):
    opened_by(bench, **asked)
    settle()
    assert said in bench.panel.error
    assert session.submitted[-1][1].display_name == "fashion-cnn"
    assert session.submitted[-1][2] == Recipe.plain()


def test_another_link_in_the_open_page_is_followed(bench, session):
    bench.frame.views += 1
    opened_by(bench, recipe=json.dumps(INT8))
    assert session.submitted[-1][2] == Recipe.parse(INT8)


def test_what_is_shown_is_what_the_address_is_told(bench, settle):
    opened_by(bench, workload="fashion-mlp", recipe=json.dumps(INT8), baseline="eager")
    settle()
    assert bench.frame.kept == {"workload": "fashion-mlp", "recipe": INT8, "baseline": "eager"}
