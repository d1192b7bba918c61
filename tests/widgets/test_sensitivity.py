"""The tab of sensitivity: asked for only while it is open, shown as it comes, and a click that asks for a scheme."""

from __future__ import annotations

import threading
import time

import pytest

from tests.results import a_result
from tests.widgets.parts import a_sensitivity, an_effect
from workbench import events
from workbench.errors import Cancelled, WorkbenchError
from workbench.sensitivities import Cell
from workbench.widgets.page import sensitivity as views


def finish(session, time_ms: float | None = None) -> None:
    number, workload, recipe = session.submitted[-1]
    result = a_result(workload=workload.model, recipe=recipe.model_dump(mode="json"))
    timed = tuple(layer.model_copy(update={"time_ms": time_ms}) for layer in result.receipt)
    result = result.model_copy(update={"receipt": timed})
    session.say(events.Finished(run=number, result=result))


def open_tab(bench, title: str = "Sensitivity") -> None:
    bench.details.strip.selected = bench.details.strip.titles.index(title)


def cells(view) -> dict:
    return {(row["layer"], cell["scheme"]): cell for row in view["rows"] for cell in row["cells"]}


def test_nothing_is_asked_for_while_the_tab_is_closed(bench, session, answered):
    finish(session)
    answered()
    assert session.asked == []


def test_what_comes_in_parts_is_shown_as_it_is_known(bench, session, answered, settle):
    rest = threading.Event()

    def parts():
        yield a_sensitivity(final=False)
        rest.wait()
        yield a_sensitivity()

    session.surveyed = [parts()]
    finish(session)
    open_tab(bench)
    until(settle, lambda: "rows" in bench.sensitivity.view)
    assert bench.sensitivity.view["progress"] == "40 %"
    rest.set()
    answered()
    assert bench.sensitivity.view["progress"] == ""
    assert bench.sensitivity.mark == ""


def until(settle, so) -> None:
    """Draw until it is so."""
    for _ in range(500):
        settle()
        if so():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


def test_who_leaves_the_tab_isn_t_told_the_rest_and_who_comes_back_asks_again(bench, session, answered, settle):
    left, closed = threading.Event(), threading.Event()

    def parts():
        try:
            yield a_sensitivity(final=False)
            left.wait()
            while True:
                yield a_sensitivity(final=False, done=0.7)
        finally:
            closed.set()

    session.surveyed = [parts(), [a_sensitivity()]]
    finish(session)
    open_tab(bench)
    until(settle, lambda: "rows" in bench.sensitivity.view)
    open_tab(bench, "History")
    settle()
    left.set()
    assert closed.wait(5)
    open_tab(bench)
    answered()
    assert bench.sensitivity.view["progress"] == ""


def test_a_map_stays_pale_while_the_next_run_is_under_way(bench, session, answered, settle):
    left = threading.Event()

    def parts():
        yield a_sensitivity(final=False)
        left.wait()
        raise Cancelled

    session.surveyed = [parts(), [a_sensitivity()]]
    finish(session)
    open_tab(bench)
    until(settle, lambda: "rows" in bench.sensitivity.view)
    bench.sensitivity.pressed = {"layer": "conv1", "scheme": "int8-static", "at": 1}
    settle()
    left.set()
    answered()
    assert "rows" in bench.sensitivity.view
    assert bench.sensitivity.mark == "stale"
    finish(session)
    answered()
    assert (bench.sensitivity.view["progress"], bench.sensitivity.mark) == ("", "")


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


def press(bench, at: int) -> None:
    bench.sensitivity.pressed = {"layer": "conv1", "scheme": "int8-static", "at": at}


def test_a_click_asks_for_the_scheme_and_a_second_one_takes_it_back(bench, session, answered):
    session.surveyed = [[a_sensitivity()]] * 3
    finish(session)
    open_tab(bench)
    answered()
    press(bench, at=1)
    answered()
    (step,) = bench.panel.recipe["steps"]
    assert (step["do"], step["scheme"]) == ("quantize", "int8-static")
    assert step["overrides"] == {"*": "fp32", "conv1": "int8-static"}
    finish(session)
    answered()
    assert bench.sensitivity.chosen["conv1"] == "int8-static"
    press(bench, at=2)
    answered()
    assert bench.panel.recipe["steps"] == []


@pytest.mark.parametrize("overrides", [{}, {"conv*": "int8-static"}])
def test_a_click_on_what_the_layer_has_without_being_named_leaves_it_in_fp32(bench, session, answered, overrides):
    scheme = "int8-dynamic" if overrides else "int8-static"
    bench.panel.recipe = {"steps": [{"do": "quantize", "scheme": scheme, "overrides": overrides}]}
    answered()
    press(bench, at=1)
    answered()
    (step,) = bench.panel.recipe["steps"]
    assert step["overrides"] == {**overrides, "conv1": "fp32"}


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
    broken = an_effect(0.0).model_copy(update={"loss": None, "error": None})
    found = a_sensitivity(
        cells=tuple(cell.model_copy(update={"only": broken}) for cell in a_sensitivity().cells),
        title="mean absolute error",
        unit="ppm",
    )
    view = views.view(found, {})
    assert view["loss"] == "loss of mean absolute error, ppm"
    effect = cells(view)["fc1", "int8-static"]["only"]
    assert (effect["loss"]["text"], effect["error"]["text"]) == ("no number", "no number")
    assert effect["told"] == "mean absolute error is no number, 1,000 examples"
    in_ppm = cells(views.view(a_sensitivity(unit="ppm", better="lower"), {}))["fc1", "int4-weights"]["only"]
    assert in_ppm["loss"]["text"].endswith("ppm")


def test_layers_have_the_times_of_the_run_that_is_shown(bench, session, answered):
    session.surveyed = [[a_sensitivity()]]
    finish(session, time_ms=0.0123)
    open_tab(bench)
    answered()
    assert [row["time"] for row in bench.sensitivity.view["rows"]] == ["12.3 µs", ""]
    assert bench.sensitivity.view["timed"]
    assert not views.view(a_sensitivity(), {})["timed"]
