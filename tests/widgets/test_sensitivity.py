"""The tab of sensitivity: asked for only while it is open, shown as it comes, and a click that asks for a scheme."""

from __future__ import annotations

import threading

import pytest

from tests.results import a_result
from tests.widgets.parts import a_sensitivity, an_effect
from workbench import events
from workbench.errors import Cancelled, WorkbenchError
from workbench.sensitivities import Cell
from workbench.widgets.page import sensitivity as views


@pytest.fixture
def answered(settle):
    """Draw, wait until every question was answered, and draw that."""

    def answered() -> None:
        settle()
        for thread in threading.enumerate():
            if thread.name == "feed":
                thread.join()
        settle()

    return answered


def finish(session) -> None:
    number, workload, recipe = session.submitted[-1]
    result = a_result(workload=workload.model, recipe=recipe.model_dump(mode="json"))
    session.say(events.Finished(run=number, result=result))


def open_tab(bench, title: str = "Sensitivity") -> None:
    bench.details.strip.selected = bench.details.strip.titles.index(title)


def cells(view) -> dict:
    return {(row["layer"], cell["scheme"]): cell for row in view["rows"] for cell in row["cells"]}


def test_nothing_is_asked_for_while_the_tab_is_closed(bench, session, answered):
    finish(session)
    answered()
    assert session.asked == []


def test_what_comes_in_parts_is_shown_as_it_is_known(bench, session, answered):
    session.surveyed = [[a_sensitivity(final=False), a_sensitivity()]]
    finish(session)
    open_tab(bench)
    answered()
    assert bench.sensitivity.view["progress"] == ""
    assert bench.sensitivity.mark == ""
    assert views.view(a_sensitivity(final=False), {})["progress"] == "40 %"


def test_what_gave_way_to_something_else_is_asked_for_again(bench, session, answered):
    session.surveyed = [Cancelled(), [a_sensitivity()]]
    finish(session)
    open_tab(bench)
    answered()
    answered()
    assert len(session.asked) == 2
    assert "rows" in bench.sensitivity.view


def test_a_refusal_is_told_in_place(bench, session, answered):
    session.surveyed = [WorkbenchError("no layer has a form")]
    finish(session)
    open_tab(bench)
    answered()
    assert bench.sensitivity.view == {"empty": "There is nothing to tell of single layers: no layer has a form"}


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        (lambda run: events.Cancelled(run=run), "The run was cancelled"),
        (lambda run: events.Failed(run=run, message="no memory"), "The run failed"),
        (lambda run: events.Untrained(run=run, seconds=60), "The training hasn't begun"),
        (lambda run: events.Progress(run=run, message="on it"), "Which layer costs how much"),
    ],
)
def test_where_there_is_no_model_a_line_says_why(bench, session, answered, ending, told):
    open_tab(bench)
    session.say(ending(session.last))
    answered()
    assert bench.sensitivity.view["empty"].startswith(told)
    assert session.asked == []


def test_a_click_asks_for_the_scheme_and_a_second_one_takes_it_back(bench, session, answered):
    session.surveyed = [[a_sensitivity()]] * 3
    finish(session)
    open_tab(bench)
    answered()
    bench.sensitivity.asked = {"layer": "conv1", "choice": "int8-static", "at": 1}
    answered()
    (step,) = bench.panel.recipe["steps"]
    assert (step["do"], step["scheme"]) == ("quantize", "int8-static")
    assert step["overrides"] == {"*": "fp32", "conv1": "int8-static"}
    finish(session)
    answered()
    assert bench.sensitivity.chosen["conv1"] == "int8-static"
    bench.sensitivity.asked = {"layer": "conv1", "choice": "", "at": 2}
    answered()
    assert bench.panel.recipe["steps"] == []


def test_a_loss_is_told_in_points_with_its_interval_and_the_darkest_is_the_largest():
    found = cells(views.view(a_sensitivity(), {}))
    worst = found["fc1", "int4-weights"]["only"]
    assert worst["loss"] == {"text": "+4.0", "tone": "worse", "share": 1.0}
    assert worst["told"] == "loss +4.0 (+3.5 to +4.5), outputs off by 20.0 %, 1,000 examples"
    assert found["conv1", "int8-static"]["only"]["loss"] == {"text": "+0.1", "tone": "", "share": 0.025}
    assert found["fc1", "int8-static"]["only"]["loss"] == {"text": "−2.0", "tone": "better", "share": 0.0}


def test_what_isn_t_known_yet_is_empty_and_what_can_t_be_has_its_reason():
    found = cells(views.view(a_sensitivity(final=False), {}))
    assert found["fc1", "int4-weights"]["all_but"]["loss"]["text"] == ""
    assert found["conv1", "int4-weights"]["reason"] == "int4-weights quantizes linear layers only"


def test_a_scheme_that_fits_no_layer_has_no_column():
    none = tuple(
        cell if cell.scheme == "int8-static" else Cell(layer=cell.layer, scheme=cell.scheme, reason="no form")
        for cell in a_sensitivity().cells
    )
    assert views.view(a_sensitivity(cells=none), {})["schemes"] == ["int8-static"]


def test_a_figure_that_is_no_number_says_so_and_others_have_their_unit():
    broken = an_effect(0.0).model_copy(update={"loss": None})
    found = a_sensitivity(
        cells=tuple(cell.model_copy(update={"only": broken}) for cell in a_sensitivity().cells),
        title="mean absolute error",
        unit="ppm",
    )
    view = views.view(found, {})
    assert view["loss"] == "loss of mean absolute error, ppm"
    assert cells(view)["fc1", "int8-static"]["only"]["loss"]["text"] == "no number"
    in_ppm = cells(views.view(a_sensitivity(unit="ppm", better="lower"), {}))["fc1", "int4-weights"]["only"]
    assert in_ppm["loss"]["text"].endswith("ppm")


def test_layers_have_the_times_of_the_run_that_is_shown(bench, session, answered):
    session.surveyed = [[a_sensitivity()]]
    finish(session)
    open_tab(bench)
    answered()
    assert bench.sensitivity.view["timed"] == any(row["time"] for row in bench.sensitivity.view["rows"])
    view = views.view(a_sensitivity(), {"fc1": "12.3 µs"})
    assert [row["time"] for row in view["rows"]] == ["", "12.3 µs"]
    assert view["timed"]
