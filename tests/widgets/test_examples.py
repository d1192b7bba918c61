"""The tab of examples: asked for only while it is open, and what it shows of them."""

from __future__ import annotations

import pytest

from tests.results import a_result
from tests.widgets.parts import found_examples
from workbench import events
from workbench.errors import Cancelled, WorkbenchError
from workbench.examples import Example, Examples, Shown
from workbench.recipe import Recipe
from workbench.widgets import ExamplesView
from workbench.widgets.page import examples as views

INT8 = {"steps": [{"do": "quantize"}], "place": {"engine": "eager", "threads": 1}}


def finish(session) -> None:
    number, workload, recipe = session.submitted[-1]
    session.say(
        events.Finished(run=number, result=a_result(workload=workload.model, recipe=recipe.model_dump(mode="json")))
    )


def open_tab(bench, title: str = "Examples") -> None:
    bench.details.strip.selected = bench.details.strip.titles.index(title)


def numbers(bench) -> list[str]:
    return [item["number"] for group in bench.examples.view["groups"] for item in group["items"]]


def test_nothing_is_asked_for_while_the_tab_is_closed(bench, session, answered):
    finish(session)
    answered()
    assert session.asked == []


def test_the_first_look_at_a_run_asks_and_the_second_does_not(bench, session, answered):
    session.found = [found_examples()]
    finish(session)
    open_tab(bench)
    answered()
    open_tab(bench, "History")
    open_tab(bench)
    answered()
    ((workload, recipe),) = session.asked
    assert (workload.model, recipe) == ("fashion-cnn", session.submitted[-1][2])
    assert numbers(bench) == ["490"]


def test_a_run_that_ends_while_the_tab_is_open_is_asked_for_at_once(bench, session, answered):
    session.found = [found_examples(1), found_examples(2)]
    open_tab(bench)
    finish(session)
    answered()
    bench.panel.recipe = INT8
    answered()
    assert (numbers(bench), bench.examples.mark) == (["1"], "stale")
    finish(session)
    answered()
    assert (numbers(bench), bench.examples.mark) == (["2"], "")
    assert session.asked[-1][1] == Recipe.parse(INT8)


def test_what_gave_way_to_something_else_is_asked_for_again(bench, session, answered):
    session.found = [Cancelled(), found_examples()]
    finish(session)
    open_tab(bench)
    answered()
    answered()
    assert len(session.asked) == 2
    assert numbers(bench) == ["490"]


@pytest.mark.parametrize(
    ("error", "told"), [(WorkbenchError("no room"), "no room"), (KeyError("fc1"), "KeyError: 'fc1'")]
)
def test_whatever_goes_wrong_is_told_in_place(bench, session, answered, error, told):
    session.found = [error]
    finish(session)
    open_tab(bench)
    answered()
    assert bench.examples.view["empty"] == f"There are no examples to show: {told}"


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        (lambda run: events.Cancelled(run=run), "The run was cancelled"),
        (lambda run: events.Failed(run=run, message="no memory"), "The run failed"),
        (lambda run: events.Untrained(run=run, seconds=60), "The training hasn't begun"),
        (lambda run: events.Progress(run=run, message="on it"), "The test examples that the recipe made"),
    ],
)
def test_where_there_is_no_model_a_line_says_why(bench, session, answered, ending, told):
    open_tab(bench)
    session.say(ending(session.last))
    answered()
    assert bench.examples.view["empty"].startswith(told)
    assert session.asked == []


def test_a_run_of_the_history_says_what_brings_its_examples(bench, session, answered):
    session.found = [found_examples()]
    finish(session)
    bench.panel.recipe = INT8
    finish(session)
    open_tab(bench)
    answered()
    bench.history.selected = 1
    answered()
    assert "“Measure again” brings the examples" in bench.examples.view["empty"]
    assert len(session.asked) == 1


def test_right_and_wrong_are_told_of_each_answer():
    ((item,),) = [group["items"] for group in views.view(found_examples())["groups"]]
    assert (item["before"]["right"], item["after"]["right"]) == (True, False)


def test_of_a_group_that_is_shown_in_part_it_says_how_many_there_are():
    view = views.view(found_examples())
    assert view["summary"] == "37 of 10,000 answers changed: 21 lost, 12 won, 4 still wrong."
    assert view["groups"][0]["title"] == "Lost: right before, wrong now · 1 of 21"


def test_a_change_of_the_matrix_has_a_sign_and_says_whether_it_is_better():
    change = views.view(found_examples())["confusion"]["change"]
    assert [[cell["text"] for cell in row] for row in change] == [["−1", "+1"], ["−1", "+1"]]
    assert [[cell["tone"] for cell in row] for row in change] == [["worse", "worse"], ["better", "better"]]


def test_an_error_has_its_unit_and_a_series_what_it_spans():
    number = Example(
        number=3,
        outcome="worse",
        inputs=(Shown(line=(1.0, 3.0, 2.0)),),
        target=Shown(text="2"),
        before=Shown(text="2.1"),
        after=Shown(text="2.5"),
        figure=(0.1, 0.5),
    )
    found = Examples(
        counted="examples",
        total=9,
        counts={"worse": 1},
        examples=(number,),
        seen=9,
        available=9,
        title="mean absolute error",
        unit="ppm",
        better="lower",
    )
    view = ExamplesView(examples=found).view
    (item,) = view["groups"][0]["items"]
    assert view["figures"] == "Error: mean absolute error, ppm"
    assert (item["before"]["figure"], item["after"]["figure"]) == ("0.100", "0.500\N{NO-BREAK SPACE}ppm")
    assert item["inputs"][0]["text"] == "1.00 to 3.00"
    assert item["inputs"][0]["points"].split() == ["0.0,27.0", "50.0,1.0", "100.0,14.0"]


def test_a_picture_that_is_drawn_anew_stands_beside_what_it_was():
    drawn = Shown(picture="data:image/png;base64,iVBORw0KGgo=")
    example = Example(
        number=3, outcome="worse", inputs=(drawn,), target=drawn, before=drawn, after=drawn, figure=(0.1, 0.5)
    )
    found = Examples(
        counted="examples", total=9, counts={"worse": 2}, examples=(example,), seen=9, available=9, better="lower"
    )
    view = views.view(found)
    assert view["form"] == "masks"
    assert view["groups"][0]["title"] == "Further off than before, the most first · 1 of 2"
