"""The line at the top: three clauses, each with a colour of its own, and how sure it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.results import a_result
from tests.widgets.parts import a_regression
from tests.widgets.test_chain import with_loss
from workbench import events
from workbench.receipt import Interval, Result
from workbench.widgets.page import state as _state
from workbench.widgets.page import verdict
from workbench.widgets.page.state import Accepted, PageState, Submitted, reduce


def of(result: Result, accepted: float = 0.5) -> PageState:
    return reduce(_state.of_result(result), Accepted(accepted))


def clauses(result: Result, accepted: float = 0.5) -> list[tuple[str, str]]:
    return [(each["text"], each["tone"]) for each in verdict.view(of(result, accepted))["clauses"]]


def fast(speedup: float, half: float = 0.02) -> Result:
    interval = Interval(value=speedup, low=speedup * (1 - half), high=speedup * (1 + half))
    return a_result().model_copy(update={"speedup": interval})


def test_a_gain_within_the_accepted_loss_is_green():
    assert clauses(with_loss(fast(13), 0.004)) == [
        ("13.0× faster", "better"),
        ("accuracy 0.40 pt lower (91.6 %, was 92.0 %)", ""),
        ("75 % smaller", "better"),
    ]


def test_thirteen_times_faster_and_useless_is_not():
    assert clauses(with_loss(fast(13), 0.78)) == [
        ("13.0× faster", ""),
        ("accuracy destroyed (14.0 %, was 92.0 %)", "worse"),
        ("75 % smaller", ""),
    ]


def test_who_accepts_more_sees_more_gains():
    result = with_loss(fast(13), 0.015)
    assert clauses(result)[:2] == [("13.0× faster", ""), ("accuracy 1.50 pt lower (90.5 %, was 92.0 %)", "worse")]
    assert clauses(result, accepted=2)[:2] == [
        ("13.0× faster", "better"),
        ("accuracy 1.50 pt lower (90.5 %, was 92.0 %)", ""),
    ]


@pytest.mark.parametrize(
    ("interval", "words", "tone"),
    [
        (Interval(value=0.11, low=0.108, high=0.112), "9.09× slower", "worse"),
        (Interval(value=1.01, low=0.99, high=1.03), "as fast", ""),
        (Interval(value=1.7, low=0.01, high=90.0), "speed too rough to tell", ""),
    ],
)
def test_speed_is_said_in_words(interval, words, tone):
    assert clauses(a_result().model_copy(update={"speedup": interval}))[0] == (words, tone)


def test_of_other_metrics_the_accepted_loss_is_a_share_of_the_baseline():
    assert clauses(a_regression(after=0.401))[1] == (
        "mean absolute error 0.0010 ppm worse (0.401 ppm, was 0.400 ppm)",
        "",
    )
    assert clauses(a_regression(after=0.41))[1][1] == "worse"
    assert clauses(a_regression(after=0.41), accepted=5)[1][1] == ""
    assert clauses(a_regression(after=0.39))[1] == (
        "mean absolute error 0.0100 ppm better (0.390 ppm, was 0.400 ppm)",
        "better",
    )


def test_until_quality_is_known_nothing_is_called_a_gain():
    latency = _state.of_result(fast(13)).latency.model_copy(update={"run": 2})
    state = reduce(reduce(PageState(), Submitted(2, "fashion-cnn", {})), latency)
    assert [(each["text"], each["tone"]) for each in verdict.view(state)["clauses"]] == [("13.0× faster", "")]


@pytest.mark.parametrize(
    ("result", "level"),
    [
        (fast(13), "solid"),
        (fast(13, half=0.2), "rough"),
        (fast(13).model_copy(update={"settled": False}), "busy"),
    ],
)
def test_how_sure_it_is_stands_beside_it(result, level):
    view = verdict.view(of(result))
    assert (view["sure"]["level"], view["wait"]) == (level, level != "solid")


def test_what_is_rough_is_a_range_in_words_too():
    assert clauses(fast(13, half=0.2))[0] == ("10 – 16× faster", "better")
    slow = a_result().model_copy(update={"speedup": Interval(value=0.5, low=0.4, high=0.6)})
    assert clauses(slow)[0] == ("1.7 – 2.5× slower", "worse")


def test_a_figure_that_reads_as_it_did_is_said_once():
    assert clauses(with_loss(fast(13), 0.0004))[1] == ("accuracy 0.04 pt lower (92.0 %)", "")


def test_while_it_trains_its_quality_is_promised_and_not_left_out():
    state = reduce(of(fast(13)), Submitted(2, "fashion-cnn", {"steps": [{"do": "prune"}]}))
    state = replace(state, quality=None)
    training = events.Training(run=2, technique="prune", step=1, total_steps=9, epoch=0.1, loss=1.0)
    told = [each["text"] for each in verdict.view(reduce(state, training))["clauses"]]
    assert told[1] == "accuracy after training"


def test_a_quiet_moment_is_offered_once_a_run_has_ended():
    rough = _state.of_result(fast(13, half=0.2))
    live = reduce(rough, Submitted(2, "fashion-cnn", {}))
    live = reduce(live, rough.latency.model_copy(update={"run": 2, "final": False}))
    assert verdict.view(live)["sure"]["level"] == "rough"
    assert not verdict.view(live)["wait"]


def test_the_verdict_of_earlier_figures_is_pale():
    state = reduce(of(fast(13)), events.Started(run=2, workload="fashion-cnn", workload_id="", recipe={}))
    assert verdict.view(state)["stale"]
