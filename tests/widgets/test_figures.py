"""What the numbers look like and what they are said to mean."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.results import a_result
from tests.widgets.parts import normalised, of_few_calls
from workbench import events
from workbench.receipt import Interval, Quality
from workbench.widgets import Figures, _format
from workbench.widgets.charts import histogram
from workbench.widgets.charts.front import pareto_front
from workbench.widgets.page import layers, views
from workbench.widgets.page.runs import Row
from workbench.widgets.page.state import PageState, of_result, reduce


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0214, "0.0214"),
        (0.2, "0.200"),
        (1.234, "1.23"),
        (12.34, "12.3"),
        (1234.5, "1,230"),
        (0.9996, "1.00"),
        (0, "0"),
    ],
)
def test_three_significant_digits_without_an_exponent(value, text):
    assert _format.significant(value) == text


@pytest.mark.parametrize(
    ("share", "ceiling", "text"), [(0.712, "memory", "71 % of memory"), (0.34, "arithmetic", "34 %"), (None, None, "—")]
)
def test_a_layer_is_held_against_what_bounds_it(share, ceiling, text):
    layer = a_result().receipt[0].model_copy(update={"ceiling_share": share, "ceiling": ceiling})
    row = layers.rows((layer,))[0]
    assert (row["ceiling"], row["bounded"]) == (text, share is not None)


@given(st.floats(1e-6, 1e6))
def test_a_figure_is_shown_within_half_a_percent_of_what_it_is(value):
    shown = float(_format.significant(value).replace(",", ""))
    assert math.isclose(shown, value, rel_tol=0.5 / 100)  # three digits: at most 5 in the fourth, of 1.00


@pytest.mark.parametrize(
    ("count", "text"), [(812, "812 B"), (81_000, "81 kB"), (1_100_000, "1.1 MB"), (999_700, "1.0 MB")]
)
def test_sizes_are_decimal(count, text):
    assert _format.size(count) == text


def test_minus_is_a_minus_sign_and_a_zero_has_none():
    assert _format.points(-0.002) == "−0.2 pt"
    assert _format.points(-0.00001) == "±0 pt"
    assert _format.change(100, 10) == "−90 %"


def test_an_interval_that_contains_one_reads_no_difference():
    result = a_result().model_copy(update={"speedup": Interval(value=1.03, low=0.99, high=1.07)})
    card = Figures(result).view["cards"][1]
    assert (card["value"], card["form"], card["tone"], card["arrow"]) == ("no difference", "words", "", "")


def test_an_interval_that_tells_nothing_yet_is_not_shown_as_no_difference():
    vague = a_result().model_copy(update={"speedup": Interval(value=1.7, low=2e-7, high=4e10)})
    card = Figures(vague).view["cards"][1]
    assert (card["value"], card["tone"]) == ("too rough to tell", "")
    assert card["lines"][0] == "95 %: off by 2× or more"


@given(st.floats(0.02, 50), st.floats(0.003, 0.5), st.floats(0.003, 0.5))
def test_the_speed_up_as_shown_lies_within_its_interval_as_shown(value, below, above):
    interval = Interval(value=value, low=value * math.exp(-below), high=value * math.exp(above))
    card = Figures(a_result().model_copy(update={"speedup": interval})).view["cards"][1]
    if " – " in card["value"]:  # too rough for one number: the range stands in its place, once
        assert card["lines"][0] == "95 % interval"
        return
    low, high = map(float, card["lines"][0].removeprefix("95 %: ").removesuffix("×").split(" – "))
    if card["form"] == "words":
        assert card["value"] in ("no difference", "too rough to tell")
    else:
        number, *slower = card["value"].split("× slower")
        shown = float(number.removesuffix("×"))
        assert low * 0.995 <= (1 / shown if slower else shown) <= high * 1.005


def test_slower_is_said_with_a_sign_and_in_words_not_by_colour_alone():
    result = a_result().model_copy(
        update={"speedup": Interval(value=0.8, low=0.78, high=0.82), "verdict": "slower: eager only simulates int8"}
    )
    view = Figures(result).view
    assert [view["cards"][1][part] for part in ("value", "form", "arrow")] == ["1.25× slower", "number", "▼"]
    assert view["verdict"] == {"tone": "worse", "text": "slower: eager only simulates int8", "mark": ""}


def test_a_dozen_calls_give_no_verdict_anywhere_on_the_page():
    result = of_few_calls(a_result(speedup=6.0))
    view = Figures(result).view
    card = view["cards"][1]
    assert (card["value"], card["tone"], card["arrow"], view["verdict"]["tone"]) == ("too rough to tell", "", "", "")
    assert Row(1, result, "2026-11-28T12:00:00", "int8", 0).history(None)["speedup"] == "too rough to tell"


def test_once_a_run_is_over_nothing_is_promised_of_it_any_more():
    latency = of_result(of_few_calls(a_result(speedup=6.0))).latency
    unsteady = latency.variant.model_copy(update={"steady": False})
    latency = latency.model_copy(update={"final": False, "variant": unsteady})
    live = reduce(PageState(run=1, phase="working"), latency)
    over = reduce(live, events.Cancelled(run=1))
    assert [views.figures(each)["cards"][1]["value"] for each in (live, over)] == ["5.9 – 6.1×", "too rough to tell"]
    assert [views.figures(each)["cards"][2]["lines"] for each in (live, over)] == [[], ["not measured"]]
    calls = [views.figures(each)["cards"][0]["lines"][1].partition(" · ")[2] for each in (live, over)]
    assert [told.replace("\N{NO-BREAK SPACE}", " ") for told in calls] == ["not steady yet", "never steady"]


def test_the_history_gives_no_single_figure_where_the_page_gave_none():
    busy = a_result().model_copy(update={"speedup": Interval(value=15.2, low=3.81, high=61.0), "settled": False})
    assert Figures(busy).view["cards"][1]["value"] == "3.8 – 61×"
    assert Row(1, busy, "2026-11-28T12:00:00", "int8", 0).history(None)["speedup"] == "3.8 – 61×"


@given(st.lists(st.floats(1e-4, 1e3), max_size=50), st.lists(st.floats(1e-4, 1e3), max_size=50))
def test_a_histogram_counts_every_sample_in_the_bin_that_holds_it(first, second):
    bins = histogram.add(histogram.add((), first), second)
    assert histogram.total(bins) == len(first) + len(second)
    for index, _ in bins:
        low, high = (10 ** (edge / histogram.BINS_PER_DECADE) for edge in (index, index + 1))
        # the edges themselves are rounded: a few units in the last place of a double
        assert any(low * (1 - 1e-12) <= sample < high * (1 + 1e-12) for sample in first + second)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=12), st.sampled_from(["higher", "lower"]))
def test_nothing_beats_a_point_of_the_front_and_something_beats_each_other_one(pairs, better):
    points = {number: pair for number, pair in enumerate(pairs)}
    front = pareto_front(((number, ms, quality) for number, (ms, quality) in points.items()), better)

    def beats(one, other):
        at_least_as_good = one[1] >= other[1] if better == "higher" else one[1] <= other[1]
        return one != other and one[0] <= other[0] and at_least_as_good

    assert not any(beats(points[a], points[b]) for a in points for b in front)
    for number in points.keys() - set(front):
        assert any(beats(points[a], points[number]) or points[a] == points[number] for a in front)


def test_the_footer_names_the_torch_that_measured():
    assert views.environment({"threads": 2, "versions": {"torch": "2.13.0+cpu"}}) == "2 threads · torch 2.13.0"


def test_without_figures_the_latency_chart_says_how_the_run_ended():
    words = [views.latency(PageState(phase=phase))["empty"] for phase in ("working", "cancelled", "failed")]
    assert ["as soon as" in words[0], "cancelled" in words[1], "failed" in words[2]] == [True] * 3


def test_the_training_chart_knows_the_whole_length_from_its_first_point():
    first = events.Training(run=1, technique="distill", step=5, total_steps=100, epoch=0.1, loss=2.0)
    assert views.training(reduce(PageState(), first))["epochs"] == 2.0


def test_quality_is_estimated_while_a_model_trains():
    about = Quality(
        value=0.91, low=0.872, high=0.94, n=256, metric="accuracy", title="accuracy", unit="share", better="higher"
    )
    first = events.Training(run=1, technique="prune", step=5, total_steps=100, epoch=0.1, loss=2.0, quality=about)
    second = first.model_copy(update={"step": 6, "epoch": 0.2, "quality": None})
    state = reduce(reduce(PageState(), first), second)
    shown = views.training(state)
    assert shown["estimates"] == [[0.1, 91.0, 87.2, 94.0]]
    assert shown["metric"] == "accuracy, %"
    assert shown["progress"].endswith("· about 91.0 %")
    card = views.figures(state)["cards"][2]
    assert (card["value"], card["form"], card["mark"]) == ("about 91.0 %", "words", "")


def test_many_estimates_of_a_long_training_are_thinned_and_the_last_stays():
    about = Quality(
        value=0.91, low=0.87, high=0.94, n=256, metric="accuracy", title="accuracy", unit="share", better="higher"
    )
    state = PageState()
    for step in range(1, 301):
        point = events.Training(
            run=1, technique="prune", step=step, total_steps=300, epoch=step / 100, loss=2.0, quality=about
        )
        state = reduce(state, point)
        assert state.estimates[-1][0] == step / 100
    assert len(state.estimates) <= 60


def test_facts_about_the_machine_have_units_that_people_read():
    assert views.facts({"memory_bytes": 25_276_502_016, "cpu_quota": None}) == [
        ["memory", "25 GB"],
        ["cpu quota", "—"],
    ]


@pytest.mark.parametrize(("dtype", "sparsity", "told"), [("int8", 0.04, ""), ("int8", 0.5, "50"), ("int4", 0.28, "")])
def test_zeros_that_rounding_makes_are_not_shown_as_a_change(dtype, sparsity, told):
    (row,) = a_result().receipt
    after = row.after.model_copy(update={"dtype": dtype, "sparsity": sparsity})
    (shown,) = layers.rows((row.model_copy(update={"after": after}),))
    assert ("zeros" in shown["change"]) == bool(told)
    assert told in shown["change"]


@pytest.mark.parametrize("view", [layers.rows, layers.receipt])
def test_normalisations_come_after_the_layers_with_weights(view):
    assert [row["layer"] for row in view(normalised(a_result()).receipt)] == ["conv1", "norm"]


def test_a_layer_kept_in_two_dtypes_shows_both():
    (row,) = a_result().receipt
    mixed = row.model_copy(update={"after": row.after.model_copy(update={"dtype": "int8 and float32"})})
    assert "int8 and fp32" in layers.rows((mixed,))[0]["change"]


@pytest.mark.parametrize(
    ("value_ms", "text"),
    [(0.00971, "9.71 µs"), (0.0999, "99.9 µs"), (0.09999, "0.100 ms"), (0.1, "0.100 ms"), (1.234, "1.23 ms")],
)
def test_a_latency_has_three_digits_and_is_told_in_microseconds_below_a_tenth_of_a_millisecond(value_ms, text):
    assert _format.latency(value_ms) == text
