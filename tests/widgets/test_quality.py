"""Quality by whatever metric a run has: in which words and units, and what may be held against what."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest

from tests.results import a_result
from tests.widgets.parts import ERROR, a_regression
from workbench import events
from workbench.receipt import Interval, Result, Throughput
from workbench.recipe import Recipe
from workbench.widgets import Figures, ParetoPlot, Workbench, _format
from workbench.widgets.page import quality, views
from workbench.widgets.page.metric import Metric
from workbench.widgets.page.state import PageState, of_result, reduce

QUANTIZED = Recipe.parse(steps=[{"do": "quantize"}]).model_dump(mode="json")
PLAIN = Recipe.plain().model_dump(mode="json")


def card(result: Result) -> dict:
    return Figures(result).view["cards"][2]


def lines(result: Result) -> list[str]:
    """Of the card of quality, with plain spaces."""
    plain = str.maketrans({"\N{NO-BREAK SPACE}": " ", "\N{WORD JOINER}": ""})
    return [line.translate(plain) for line in card(result)["lines"]]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.9162, "share", "91.6 %"),
        (0.0, "share", "0.0 %"),
        (0.000123, "share", "0.0123 %"),
        (0.4123, "ppm", "0.412 ppm"),
        (12.34, "", "12.3"),
        (1.92, "bit/byte", "1.92 bit/byte"),
        (-0.25, "", "−0.250"),
        (1.2e-7, "", "1.20·10⁻⁷"),
        (3.4e30, "", "3.40·10³⁰"),
        (math.inf, "ppm", "∞"),
        (math.nan, "share", "not a number"),
    ],
)
def test_a_figure_stands_in_the_unit_of_its_metric(value, unit, text):
    assert _format.quality(value, unit) == text


@pytest.mark.parametrize(
    ("value", "unit", "figure", "text"),
    [
        (-0.0002, "share", 0.92, "−0.02 pt"),
        (0.00001, "share", 0.92, "±0 pt"),
        (0.0000012, "share", 0.000123, "+0.00012 pt"),
        (0.0123, "ppm", 0.4123, "+0.0123 ppm"),
        (1e-12, "ppm", 0.4123, "±0 ppm"),
        (-0.5, "", 12.34, "−0.50"),
        (2.5, "", 12_340.0, "+2"),
        (3e-9, "", 1.2e-7, "+0.030·10⁻⁷"),
        (math.nan, "ppm", 0.4123, "—"),
    ],
)
def test_a_difference_is_told_to_the_fourth_digit_of_what_it_is_a_difference_of(value, unit, figure, text):
    assert _format.quality_change(value, unit, figure) == text


def test_a_classifier_s_card_speaks_of_accuracy_in_per_cent_and_points():
    shown = card(a_result())
    assert [shown[part] for part in ("label", "value", "unit", "tone", "arrow")] == ["Accuracy", "92.0 %", "", "", ""]
    assert lines(a_result()) == ["−0.10 pt (−0.30 – +0.10 pt)", "12 changed · on 10,000"]


def test_an_error_s_card_speaks_of_it_in_its_unit():
    shown = card(a_regression())
    assert [shown[part] for part in ("label", "value", "unit")] == ["Mean absolute error", "0.412", "ppm"]
    assert lines(a_regression()) == ["+0.0123 (+0.0113 – +0.0133)", "on 2,000"]


@pytest.mark.parametrize(
    ("after", "tone", "arrow"), [(0.45, "worse", "▲"), (0.35, "better", "▼"), (0.4015, "", "▲"), (0.4005, "", "")]
)
def test_an_error_that_has_grown_points_up_and_is_worse_where_that_is_not_accepted(after, tone, arrow):
    shown = card(a_regression(after=after))
    assert (shown["tone"], shown["arrow"]) == (tone, arrow)


@pytest.mark.parametrize(("lost", "tone", "arrow"), [(0.02, "worse", "▼"), (0.004, "", "▼"), (-0.02, "better", "▲")])
def test_a_share_that_has_fallen_points_down_and_is_worse_where_that_is_not_accepted(lost, tone, arrow):
    loss = Interval(value=lost, low=lost - 0.003, high=lost + 0.003)
    shown = card(a_result().model_copy(update={"quality_loss": loss}))
    assert (shown["tone"], shown["arrow"]) == (tone, arrow)


def test_which_figures_are_better_is_said_and_seen_where_it_is_not_obvious():
    share, error = card(a_result())["direction"], card(a_regression())["direction"]
    assert share == {"text": "higher is better", "short": "↑ better", "obvious": True}
    assert error == {"text": "lower is better", "short": "↓ better", "obvious": False}


def test_only_answers_that_were_compared_are_called_the_same():
    same = a_result().model_copy(update={"answers_changed": 0})
    assert lines(same)[0] == "every prediction the same"
    unmoved = a_regression(after=0.4)
    assert lines(unmoved) == ["±0 (−0.0010 – +0.0010)", "on 2,000"]


def test_a_metric_keeps_its_name_where_a_run_was_cancelled_and_loses_it_with_its_workload():
    state = of_result(a_regression())
    started = events.Started(run=2, workload=state.workload, workload_id="a", recipe=QUANTIZED)
    cancelled = reduce(reduce(state, started), events.Cancelled(run=2))
    assert views.figures(cancelled)["cards"][2]["label"] == "Mean absolute error"
    another = reduce(state, started.model_copy(update={"workload": "another"}))
    assert views.figures(another)["cards"][2]["label"] == "Quality"


def of_nothing(result: Result) -> Result:
    """The same where the variant's outputs hold no numbers."""
    quality = result.variant.quality.model_copy(update={"value": math.nan, "low": math.nan, "high": math.nan})
    loss = Interval(value=math.nan, low=math.nan, high=math.nan)
    return result.model_copy(
        update={"variant": result.variant.model_copy(update={"quality": quality}), "quality_loss": loss}
    )


def test_a_quality_that_is_no_number_is_said_in_words_and_never_drawn(bench, session, settle):
    result = of_nothing(a_regression())
    shown = card(result)
    assert [shown[part] for part in ("value", "unit", "form", "tone", "arrow")] == ["not a number", "", "words", "", ""]
    assert lines(result) == ["was 0.400 ppm", "on 2,000"]
    session.say(events.Finished(run=session.last, result=result))
    settle()
    assert (len(bench.history.rows), bench.pareto_plot.rows) == (1, [])
    sent = [part.get_state() for part in (bench.figures, bench.pareto_plot, bench.history)]
    json.dumps([state.get("view", state.get("rows")) for state in sent], allow_nan=False)  # what browsers can read


# -- throughput


def handling(result: Result, rate: float) -> Result:
    throughput = Throughput(value=rate, unit="images")
    return result.model_copy(update={"variant": result.variant.model_copy(update={"throughput": throughput})})


def test_what_a_finished_run_handles_in_a_second_stands_beside_its_calls():
    view = Figures(handling(a_result(), 48_012.0)).view["cards"][0]
    assert view["lines"][1].replace("\N{NO-BREAK SPACE}", " ") == "48,000 images/s · 1,000 calls"


def test_the_throughput_of_an_earlier_run_leaves_with_its_latency():
    result = handling(a_result(), 48_012.0)
    recalled = events.Recalled(run=1, result=result, finished_at="2026-11-28T12:00:00")
    before = reduce(PageState(), recalled)
    assert before.throughput == result.variant.throughput
    sides = {"baseline": result.baseline.latency_ms, "variant": result.variant.latency_ms}
    fresh = events.Latency(run=1, baseline_engine="eager", speedup=result.speedup, **sides)
    assert reduce(before, fresh).throughput is None


# -- the plot and the history


def test_a_plot_of_accuracy_is_titled_as_one_and_says_no_direction():
    words = quality.plotted(Metric.of(a_result().variant.quality))
    assert (words["heading"], words["axis"], words["axis_direction"]) == ("Accuracy", "accuracy, %", "")
    assert words["before"] + "91.62" + words["after"] == "91.62 %"


def test_a_plot_of_an_error_is_turned_so_that_better_is_above_and_says_so():
    words = quality.plotted(Metric.of(ERROR))
    assert (words["axis"], words["axis_direction"]) == ("mean absolute error, ppm", "reversed: lower is better")
    assert words["before"] + "0.4123" + words["after"] == "mean absolute error 0.4123 ppm<br>lower is better"


def test_the_front_of_an_error_is_of_the_lowest():
    rows = [
        {"id": 1, "ms": 0.1, "quality": 0.5, "figure": "0.5", "batch": 1, "label": "fast"},
        {"id": 2, "ms": 0.2, "quality": 0.4, "figure": "0.4", "batch": 1, "label": "right"},
        {"id": 3, "ms": 0.3, "quality": 0.6, "figure": "0.6", "batch": 1, "label": "neither"},
    ]
    assert ParetoPlot(rows=rows, metric=quality.plotted(Metric.of(ERROR))).front == [1, 2]


def finish(session, result: Result) -> None:
    recipe = session.submitted[-1][2].model_dump(mode="json")
    session.say(events.Finished(run=session.last, result=result.model_copy(update={"recipe": recipe})))


def test_the_history_is_headed_by_the_metric(bench, session, settle):
    finish(session, a_regression())
    settle()
    assert bench.history.quality_heading == "mean absolute error, lower is better"
    assert [bench.history.rows[0][part] for part in ("quality", "change")] == ["0.4123 ppm", "+0.0123 ppm"]
    assert bench.pareto_plot.rows[0]["quality"] == 0.4123


def test_runs_by_another_metric_are_named_in_the_history_and_left_out_of_the_plot(session, settle):
    earlier = a_result(recipe=PLAIN), a_regression(recipe=PLAIN)
    session.entries = [SimpleNamespace(id=7, result=each, finished_at="2026-01-01T12:00:00+00:00") for each in earlier]
    bench = Workbench(session=session)
    settle()
    assert bench.history.quality_heading == "accuracy"  # the newest run's
    assert [row["quality"] for row in bench.history.rows] == ["mean absolute error 0.4123 ppm", "92.00 %"]
    assert [row["id"] for row in bench.pareto_plot.rows] == bench.pareto_plot.front == [2]
    bench.frame.views = 1
    finish(session, a_regression(after=0.35))
    settle()
    assert bench.history.quality_heading == "mean absolute error, lower is better"
    assert [row["quality"] for row in bench.history.rows] == ["0.4123 ppm", "accuracy 92.00 %", "0.3500 ppm"]
    assert [row["id"] for row in bench.pareto_plot.rows] == bench.pareto_plot.front == [3]
    bench.close()
