"""What the axes of the plot hold, what is parked at their edges, and what is accepted."""

from __future__ import annotations

import pytest

from tests.results import ACCURACY, a_result
from tests.widgets.parts import ERROR
from workbench.receipt import Interval
from workbench.widgets import ParetoPlot
from workbench.widgets.charts.frame import frame_of, span
from workbench.widgets.page import acceptance, quality, state, views

CLOSE = [(0.02, 91.5), (0.03, 91.6), (0.05, 91.0), (0.08, 91.6)]
BASELINE = (0.4, 91.6)


def test_nothing_to_show_has_no_frame():
    assert frame_of([]) is None


def test_points_near_each_other_are_all_held():
    frame = frame_of(CLOSE, BASELINE, accepted=91.1, least_margin=0.6)
    assert all(frame.holds(*point) for point in [*CLOSE, BASELINE])


def test_a_destroyed_model_is_parked_and_leaves_the_axis_of_quality_as_it_was():
    lone, beside = (frame_of(points, BASELINE, 91.1, 0.6) for points in (CLOSE, [*CLOSE, (0.01, 10.2)]))
    assert lone.quality == beside.quality
    assert not beside.holds(0.01, 10.2)


def test_a_call_of_minutes_is_parked_and_leaves_the_axis_of_latency_as_it_was():
    lone, beside = (frame_of(points, BASELINE, 91.1, 0.6) for points in (CLOSE, [*CLOSE, (90_000.0, 91.6)]))
    assert lone.ms == beside.ms
    assert not beside.holds(90_000.0, 91.6)


@pytest.mark.parametrize("baseline", [(40.0, 91.6), (0.0001, 20.0)])
def test_the_baseline_is_held_however_far_it_is(baseline):
    assert frame_of(CLOSE, baseline).holds(*baseline)


def test_the_bound_of_what_is_accepted_is_held():
    low, _ = frame_of(CLOSE, BASELINE, accepted=81.6).quality
    assert low < 81.6


def test_more_than_half_of_the_points_are_never_far_off():
    few, many = [90.0, 91.0], [10.0, 11.0, 12.0]
    assert span([*few, *many], [91.6], least=1.0, longer=3.0) == (10.0, 91.6)
    assert span([*few, 10.0], [91.6], least=1.0, longer=3.0) == (90.0, 91.6)


def test_where_less_is_better_the_region_accepted_lies_below_its_bound():
    assert acceptance.bound(ERROR, 5.0) == pytest.approx(0.42)  # 5 % of 0.4 ppm more
    assert acceptance.bound(ACCURACY, 0.5) == pytest.approx(0.915)


def test_the_region_accepted_follows_what_the_person_accepts():
    shown = state.of_result(a_result())
    assert views.accepted_region(shown) == {"bound": 91.5, "loss": "≤ 0.5 pt lost"}
    shown = state.reduce(shown, state.Accepted(2.0))
    assert views.accepted_region(shown)["bound"] == 90.0
    assert views.accepted_region(state.PageState()) == {}


def test_a_point_has_the_interval_of_its_quality_and_that_of_the_speed_up_about_its_latency():
    point = quality.point(0.2, ACCURACY, "int8", Interval(value=2.0, low=1.6, high=2.5))
    assert point["quality_ends"] == [91.5, 92.5]
    assert point["ms_ends"] == [0.16, 0.25]  # 0.2 · 2 / 2.5 and 0.2 · 2 / 1.6
    assert point["told_ms_ends"] == "0.160 – 0.250"


def test_a_speed_up_that_is_not_known_gives_a_latency_without_interval():
    assert "ms_ends" not in quality.point(0.2, ACCURACY, "int8", Interval(value=1.0, low=0.0, high=float("inf")))


def test_the_plot_leaves_runs_of_another_batch_out_of_its_frame():
    row = {"figure": "", "label": ""}
    rows = [{"id": i, "ms": ms, "quality": value, "batch": 1, **row} for i, (ms, value) in enumerate(CLOSE)]
    alone, beside = ParetoPlot(rows=rows), ParetoPlot(rows=[*rows, {**rows[0], "id": 9, "ms": 900.0, "batch": 64}])
    assert alone.frame == beside.frame
