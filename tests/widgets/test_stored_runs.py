"""Runs of the history: seen again as they were, pinned, left out of the plot, deleted."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.results import a_result
from workbench import events
from workbench.errors import WorkbenchError
from workbench.recipe import Recipe
from workbench.widgets._rows import MOST_PINNED

INT8 = {"steps": [{"do": "quantize"}], "place": {"engine": "eager", "threads": 1}}
COMPLETE = Recipe.parse(INT8).model_dump(mode="json")


def finish(session, entry: int = 0, **details) -> None:
    number, workload, recipe = session.submitted[-1]
    result = a_result(workload=workload.model, recipe=recipe.model_dump(mode="json"), **details)
    session.say(events.Finished(run=number, result=result, entry=entry))


@pytest.fixture
def two_runs(bench, session, settle):
    """Of int8, row 1, and then of the plain model, row 2, which is shown."""
    bench.panel.recipe = INT8
    finish(session, entry=11, latency_ms=0.1, speedup=3.0)
    bench.panel.recipe = {}
    finish(session, entry=12, latency_ms=0.2)
    settle()
    return bench


def shown(bench) -> list[str]:
    return [card["value"] for card in bench.figures.view["cards"]]


@pytest.mark.parametrize("part", ["history", "pareto_plot"])
def test_a_run_that_is_chosen_is_shown_as_it_was_and_nothing_is_measured(two_runs, session, settle, part):
    submitted = len(session.submitted)
    getattr(two_runs, part).selected = 1
    settle()
    assert two_runs.panel.recipe == COMPLETE
    assert shown(two_runs)[:2] == ["0.100 ms", "3.00×"]
    assert {card["mark"] for card in two_runs.figures.view["cards"]} == {"recalled"}
    assert two_runs.figures.view["recalled"].startswith("As it was measured")
    assert two_runs.progress.view["text"].startswith("From the history, measured")
    assert two_runs.history.selected == two_runs.pareto_plot.selected == 1
    assert len(session.submitted) == submitted
    assert not two_runs.progress.view["busy"]


@pytest.mark.parametrize("ask", ["progress", "pareto_plot"])
def test_measure_again_measures_the_run_that_is_shown(two_runs, session, settle, ask):
    two_runs.history.selected = 1
    getattr(two_runs, ask).repeats += 1
    settle()
    assert session.submitted[-1][2] == Recipe.parse(INT8)
    assert two_runs.progress.view["busy"]
    assert two_runs.state.stored == 0


def test_a_toggle_after_a_stored_run_measures_its_own_recipe(two_runs, session):
    two_runs.history.selected = 1
    two_runs.panel.recipe = {"steps": [{"do": "prune"}]}
    assert session.submitted[-1][2] == Recipe.parse({"steps": [{"do": "prune"}]})


def test_another_baseline_is_measured_also_where_a_stored_run_is_shown(two_runs, session):
    two_runs.history.selected = 1
    two_runs.panel.baseline = "eager"
    assert (session.submitted[-1][2], session.baselines[-1]) == (Recipe.parse(INT8), "eager")


def test_choosing_a_run_stops_what_is_under_way_and_hears_no_more_of_it(two_runs, session, settle):
    two_runs.panel.recipe = {"steps": [{"do": "prune"}]}
    two_runs.history.selected = 1
    assert session.cancelled_by == [two_runs]
    session.say(events.Cancelled(run=session.last))
    session.say(events.Notice(run=session.last, message="compiled is ready", measure_again=True))
    settle()
    assert shown(two_runs)[0] == "0.100 ms"
    assert two_runs.progress.view["phase"] == "finished"
    assert len(session.submitted) == 4


def test_an_earlier_run_of_the_same_recipe_can_be_seen_beside_its_newest(two_runs, session, settle):
    two_runs.progress.repeats += 1
    finish(session, latency_ms=0.25)
    settle()
    assert [row["id"] for row in two_runs.pareto_plot.rows] == [1, 3]
    two_runs.history.selected = 2
    settle()
    assert shown(two_runs)[0] == "0.200 ms"
    assert [row["id"] for row in two_runs.pareto_plot.rows] == [1, 2, 3]
    two_runs.history.selected = 3
    settle()
    assert [row["id"] for row in two_runs.pareto_plot.rows] == [1, 3]


def test_a_pin_is_seen_in_plot_and_history_and_outlives_a_newer_run_of_its_recipe(two_runs, session, settle):
    two_runs.history._handle_custom_msg({"pin": 2, "on": True}, [])
    assert two_runs.pareto_plot.pinned == two_runs.history.pinned == [2]
    two_runs.progress.repeats += 1
    finish(session)
    settle()
    assert [row["id"] for row in two_runs.pareto_plot.rows] == [1, 2, 3]
    two_runs.pareto_plot._handle_custom_msg({"pin": 2, "on": False}, [])
    settle()
    assert two_runs.history.pinned == []
    assert [row["id"] for row in two_runs.pareto_plot.rows] == [1, 3]


def test_no_more_than_four_are_pinned(two_runs):
    for number in range(1, 7):
        two_runs.history._handle_custom_msg({"pin": number, "on": True}, [])
    assert two_runs.history.pinned == [1, 2, 3, 4]
    assert len(two_runs.history.pinned) == MOST_PINNED


def test_a_hidden_run_takes_no_part_in_the_plot_and_stays_in_the_history(two_runs):
    assert two_runs.pareto_plot.front == [1]
    two_runs.history._handle_custom_msg({"hide": 1, "on": True}, [])
    assert two_runs.pareto_plot.hidden == [1]
    assert two_runs.pareto_plot.front == [2]
    assert len(two_runs.history.rows) == 2
    two_runs.pareto_plot._handle_custom_msg({"hide": 1, "on": False}, [])
    assert two_runs.pareto_plot.front == [1]


def test_a_run_that_is_deleted_is_gone_from_page_and_store(two_runs, session, settle):
    two_runs.history.pinned = [1, 2]
    two_runs.history._handle_custom_msg({"delete": 1}, [])
    settle()
    assert session.forgotten == [11]
    assert [row["id"] for row in two_runs.history.rows] == [row["id"] for row in two_runs.pareto_plot.rows] == [2]
    assert two_runs.pareto_plot.pinned == [2]


def test_once_its_newest_run_is_deleted_a_recipe_shows_the_one_before(two_runs, session, settle):
    two_runs.progress.repeats += 1
    finish(session, entry=13)
    settle()
    two_runs.pareto_plot._handle_custom_msg({"delete": 3}, [])
    settle()
    assert [row["id"] for row in two_runs.pareto_plot.rows] == [1, 2]
    two_runs.progress.repeats += 1
    finish(session)
    settle()
    assert [row["id"] for row in two_runs.history.rows] == [1, 2, 4]  # no number is given twice


def test_a_run_that_cannot_be_deleted_stays_and_says_why(two_runs, session, settle):
    session.refusal = WorkbenchError("the run can't be deleted: the history can't be written (disk full)")
    two_runs.history._handle_custom_msg({"delete": 1}, [])
    settle()
    assert "disk full" in two_runs.panel.error
    assert len(two_runs.history.rows) == 2


def test_a_run_of_the_store_is_deleted_by_its_number_there(bench, session, settle):
    session.entries = [SimpleNamespace(id=5, result=a_result(), finished_at="2026-01-01T12:00:00+00:00")]
    bench.frame.views = 0
    bench.frame.views = 1
    bench.history._handle_custom_msg({"delete": 1}, [])
    assert session.forgotten == [5]
