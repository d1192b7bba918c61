"""Scheme "auto" on the page: it waits for a word, shows the best so far, and ends in a recipe of its own."""

from __future__ import annotations

import pytest

from tests.results import a_result
from workbench import events
from workbench.mixtures import Candidate, Mixture
from workbench.receipt import Interval
from workbench.recipe import Recipe
from workbench.widgets.page import examples, sensitivity
from workbench.widgets.takeaway import code
from workbench.workload import Workload

AUTO = {"steps": [{"do": "quantize", "scheme": "auto", "budget": 0.005}]}
FOUND = {"do": "quantize", "scheme": "int8-static", "overrides": {"conv1": "fp32"}}


def interval(value: float) -> Interval:
    return Interval(value=value, low=value, high=value)


def candidate(speedup: float, **schemes: str) -> Candidate:
    return Candidate(
        schemes=schemes,
        origin="uniform" if len(set(schemes.values())) == 1 else "mended",
        estimated_loss=0.0,
        estimated_speedup=speedup,
        loss=interval(0.001),
        speedup=interval(speedup),
    )


CANDIDATES = (
    candidate(0.5, conv1="fp32", fc1="fp32"),
    candidate(1.0, conv1="int8-static", fc1="int8-static"),
    candidate(1.25, conv1="fp32", fc1="int8-static"),
)


def mixture(measured: int) -> Mixture:
    """What a search knows when so many models were measured, of which the last is the best."""
    return Mixture(
        metric="accuracy",
        title="accuracy",
        unit="share",
        budget=0.005,
        limit=0.005 if measured else None,
        engine="native",
        reference="int8-static",
        examples=4000,
        candidates=CANDIDATES[:measured],
        best=measured - 1 if measured else None,
        recipe={"steps": []} if measured else None,
        doing="finding what each layer costs, 40 %",
    )


@pytest.fixture
def asked(bench, session, settle):
    """A page that waits for a word."""
    bench.panel.recipe = AUTO
    session.say(events.Untrained(run=session.last, seconds=120, searches=True))
    settle()
    return bench


def search(session, measured: int) -> None:
    session.say(events.Search(run=session.last, mixture=mixture(measured)))


def test_a_search_waits_for_a_word_and_tells_its_cost(asked, session, settle):
    assert session.train_up_to_s[-1] == 10
    assert asked.verdict.view["train"] == "Run the search, up to 2 min"
    assert asked.progress.view["text"] == "The search takes up to 2 min, and waits for you"
    assert "it can be ended early with the best so far" in asked.figures.view["verdict"]["text"]
    for part in (examples, sensitivity):
        assert part.why_none(asked.state).startswith("The search hasn't begun")
    asked.verdict.train_requests += 1
    settle()
    assert session.train_up_to_s[-1] is None


def test_the_best_so_far_is_shown_while_it_searches_and_taken_once_int8_was_measured(asked, session, settle):
    asked.verdict.train_requests += 1
    takeable = []
    for measured in range(4):
        search(session, measured)
        settle()
        takeable.append(asked.progress.view["take"])
    assert takeable == [False, False, True, True]
    assert asked.progress.view["busy"]
    assert asked.progress.view["text"] == "Finding what each layer costs, 40 %"
    best = "Best so far: fp32, fc1 in int8-static; 1.25× the speed of int8-static alone; loses 0.1 of 0.5 points"
    assert asked.figures.view["verdict"]["text"] == best
    asked.progress.takes += 1
    assert session.taken_by == [asked]


def test_what_was_found_is_asked_for_from_then_on_and_isn_t_measured_again(asked, session, settle):
    asked.verdict.train_requests += 1
    search(session, 3)
    found = Recipe.parse(steps=[FOUND], place={"engine": "native", "threads": 1}).model_dump(mode="json")
    runs = len(session.submitted)
    session.say(events.Finished(run=session.last, result=a_result(recipe=found)))
    settle()
    assert len(session.submitted) == runs
    assert asked.panel.recipe["steps"] == found["steps"]
    assert asked.panel.recipe["place"]["engine"] == "auto"
    assert '"overrides": {"conv1": "fp32"}' in asked.code.python
    asked.bar.undos += 1
    settle()
    assert asked.panel.recipe["steps"][0]["scheme"] == "auto"
    assert session.train_up_to_s[-1] == 10  # and waits for a word again


def test_a_budget_begins_with_the_loss_that_is_accepted(bench, settle):
    bench.verdict.accepted = 1
    settle()
    assert bench.panel.accepted == {"share": 0.01, "unit": "pt"}
    bench.verdict.accepted = 0
    settle()
    assert bench.panel.accepted["share"] == 0.001  # the least that leaves anything to choose
    [budget] = [
        option
        for technique in bench.panel._schema["techniques"]
        for option in technique["options"]
        if option["name"] == "budget"
    ]
    assert (budget["control"], budget["when"]) == ("stepper", {"scheme": ["auto"]})
    assert budget["steps"] == [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1]


def test_code_of_a_recipe_that_leaves_a_choice_searches_first():
    python = code.python(Workload("fashion-cnn"), Recipe.parse(AUTO).model_dump(mode="json"))
    assert "recipe = wb.run(workload, recipe).result().recipe  # the search\nfaster = wb.prepare(" in python
