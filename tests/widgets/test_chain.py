"""What each step is said to have done, beside its toggle and in the waterfall."""

from __future__ import annotations

import pytest

from tests.results import a_result
from tests.widgets.parts import a_regression, normalised, of_few_calls
from workbench import events
from workbench.receipt import Interval, Result
from workbench.recipe import Recipe
from workbench.widgets.page import chain, waterfall
from workbench.widgets.page.effects import effects
from workbench.widgets.page.state import PageState, Stored, Submitted, reduce

QUANTIZE = {"do": "quantize"}
PRUNE = {"do": "prune", "kind": "weights"}


def recipe(*steps: dict, engine: str = "native") -> dict:
    return Recipe.parse(steps=list(steps), place={"engine": engine, "threads": 1}).model_dump(mode="json")


def shown(whole: Result, *beginnings: Result) -> PageState:
    """A page after a run that came to ``whole``, and what was measured of its first steps since."""
    state = reduce(PageState(), events.Finished(run=1, result=whole))
    for result in beginnings:
        state = reduce(state, events.Ablation(run=1, result=result))
    return state


def in_fp32(speedup: float, *steps: dict) -> Result:
    """Such a recipe, on other kernels than those of int8."""
    result = a_result(recipe=recipe(*steps), speedup=speedup, latency_ms=0.9)
    layers = [layer.model_copy(update={"kernel": "Conv", "compute_dtype": "fp32"}) for layer in result.receipt]
    return result.model_copy(update={"receipt": tuple(layers)})


def quantized(speedup: float, **details) -> Result:
    return a_result(recipe=recipe(QUANTIZE), speedup=speedup, **details)


def beside(engine: str, result: Result) -> Result:
    """The same figures from a run whose baseline ran on this engine."""
    return result.model_copy(update={"baseline": result.baseline.model_copy(update={"engine": engine})})


def with_loss(result: Result, loss: float) -> Result:
    """The same, its accuracy worse by so much."""
    worse = result.variant.quality.model_copy(update={"value": result.baseline.quality.value - loss})
    side = result.variant.model_copy(update={"quality": worse})
    return result.model_copy(update={"variant": side, "quality_loss": Interval(value=loss, low=loss, high=loss)})


# -- effects


def test_a_step_s_effect_is_the_quotient_of_two_speedups_whatever_the_machine_s_pace_was():
    effect = effects(shown(quantized(6.0), in_fp32(4.0)))["quantize"]
    assert effect["text"] == "1.50× · ±0 pt · real"
    # ±2 % of each speed-up and ±10 % from run to run: exp(√(ln(1.02/0.98)²/2 + ln(1.1)²)) = 1.1045
    assert effect["against"] == "1.36 – 1.66× over what comes before it"


def test_what_made_it_slower_says_how_much_slower():
    effect = effects(shown(quantized(2.0), in_fp32(4.0)))["quantize"]
    assert effect["text"].startswith("2.00× slower · ")
    assert effect["against"] == "1.8 – 2.2× slower than what comes before it"


def test_the_engine_has_an_effect_of_its_own():
    effect = effects(shown(quantized(6.0), in_fp32(4.0)))["place"]
    assert (effect["text"], effect["tone"]) == ("native · 4.00× · ±0 pt", "better")
    assert effect["against"] == "3.92 – 4.08× over the baseline, eager fp32"


def test_no_step_is_credited_with_what_its_engine_does():
    assert effects(shown(quantized(6.0))) == {}  # until that was measured


def test_on_the_baseline_s_own_engine_a_first_step_begins_at_the_baseline():
    result = a_result(recipe=recipe(QUANTIZE, engine="eager"), speedup=3.0)
    found = effects(shown(result))
    assert found.keys() == {"quantize"}
    assert found["quantize"]["against"] == "2.94 – 3.06× over the baseline, eager fp32"


def test_speedups_too_near_each_other_are_no_effect():
    effect = effects(shown(quantized(4.2), in_fp32(4.0)))["quantize"]
    assert (effect["text"], effect["tone"]) == ("±0 pt · real", "")
    assert effect["against"].startswith("no difference with or without it: 0.9")


def test_what_was_measured_too_roughly_to_tell_is_not_called_no_difference():
    rough = quantized(4.0).model_copy(update={"speedup": Interval(value=4.0, low=0.5, high=30.0)})
    assert effects(shown(rough, in_fp32(4.0)))["quantize"]["against"] == "measured too roughly to tell"


def test_a_dozen_calls_give_no_effect():
    effect = effects(shown(of_few_calls(quantized(6.0)), in_fp32(1.0)))["quantize"]
    assert (effect["against"], effect["tone"]) == ("measured too roughly to tell", "")


def test_runs_beside_different_baselines_are_not_compared():
    assert effects(shown(quantized(6.0), beside("compiled", in_fp32(0.5)))) == {}


def test_runs_by_different_metrics_are_not_compared():
    assert effects(shown(a_regression(recipe=recipe(QUANTIZE)), in_fp32(2.0))) == {}


@pytest.mark.parametrize(("after", "text"), [(0.42, "0.0200 ppm worse"), (0.38, "0.0200 ppm better"), (0.4, "±0 ppm")])
def test_an_effect_on_an_error_says_whether_it_is_better(after, text):
    whole = a_regression(recipe=recipe(QUANTIZE), after=after)
    effect = effects(shown(whole, a_regression(recipe=recipe(), after=0.4)))["quantize"]
    assert effect["text"].endswith(f"{text} · real")


@pytest.mark.parametrize("changed", [lambda result: result, normalised])
def test_the_same_kernels_are_never_said_to_be_faster_or_slower(changed):
    whole, plain = (changed(a_result(recipe=recipe(*steps), speedup=2.0 + len(steps))) for steps in ((PRUNE,), ()))
    effect = effects(shown(whole, plain))["prune"]
    assert (effect["text"], effect["tone"]) == ("±0 pt · real", "")
    assert effect["against"] == "no difference: the same kernels as without it"


def test_a_gain_that_costs_more_than_is_accepted_is_not_shown_as_one():
    worse = with_loss(quantized(6.0), 0.02)
    assert effects(shown(worse, in_fp32(2.0)))["quantize"]["tone"] == ""
    accepting = shown(with_loss(quantized(6.0), 0.004), in_fp32(2.0))
    assert effects(accepting)["quantize"]["tone"] == "better"


def test_a_recipe_that_is_being_measured_has_no_effects_yet():
    state = shown(in_fp32(2.0))
    again = reduce(state, Submitted(2, state.workload, recipe(QUANTIZE)))
    assert effects(again) == {}


def test_what_a_recipe_began_with_is_remembered_when_it_grows():
    state = shown(in_fp32(4.0, PRUNE), in_fp32(4.0))
    grown = reduce(state, events.Finished(run=2, result=a_result(recipe=recipe(PRUNE, QUANTIZE), speedup=6.0)))
    assert effects(grown).keys() == {"place", "prune", "quantize"}
    elsewhere = reduce(grown, Submitted(3, "fashion-mlp", recipe(QUANTIZE)))
    assert elsewhere.told == ()


# -- waterfall


def bars(state: PageState) -> dict[str, list[dict]]:
    view = waterfall.view(state, {"quantize": "Quantize", "prune": "Prune"})
    return {panel["title"]: panel["bars"] for panel in view["panels"]}


def test_the_waterfall_leads_from_the_baseline_over_each_link_to_now():
    view = waterfall.view(shown(quantized(6.0), in_fp32(4.0)), {"quantize": "Quantize"})
    assert [column["name"] for column in view["columns"]] == ["eager", "native", "Quantize", "now"]
    assert [column["key"] for column in view["columns"]] == ["", "place", "quantize", ""]
    latency = view["panels"][0]["bars"]
    assert [bar["text"] for bar in latency] == ["1.20 ms", "4.00×", "1.50×", "0.200 ms"]
    assert latency[1]["high"] == latency[0]["high"] == 1
    assert latency[1]["low"] == latency[2]["high"] > latency[2]["low"] == latency[3]["high"]
    assert not view["pending"]


def test_a_share_that_is_known_roughly_is_a_range():
    busy = in_fp32(7.9).model_copy(update={"speedup": Interval(value=7.9, low=2.0, high=31.8)})
    assert bars(shown(busy))["Latency"][1]["text"] == "2.0 – 32×"


def test_a_link_that_is_not_measured_yet_waits_and_nothing_stands_in_for_it():
    view = waterfall.view(shown(quantized(6.0)), {})
    assert view["pending"]
    assert [bar["pending"] for bar in view["panels"][0]["bars"]] == [False, True, True, False]


def test_a_step_that_can_t_be_measured_says_why_instead_of_keeping_people_waiting():
    state = reduce(shown(quantized(6.0)), events.Unmeasured(run=1, steps=0, reason="no kernel for it"))
    view = waterfall.view(state, {})
    assert not view["pending"]
    assert [bar["text"] for bar in view["panels"][0]["bars"][1:3]] == ["—", "—"]
    assert {bar["reason"] for bar in view["panels"][0]["bars"][1:3]} == {"no kernel for it"}
    assert (
        waterfall.view(
            reduce(state, events.Started(run=2, workload=state.workload, workload_id="", recipe=state.recipe)), {}
        )
        == {}
    )


def test_of_a_run_of_the_history_nothing_more_will_be_measured():
    view = waterfall.view(reduce(PageState(), Stored(3, quantized(6.0), "2026-11-01T10:00:00+00:00")), {})
    assert not view["pending"]
    assert "Measure again" in view["panels"][0]["bars"][1]["reason"]


def test_with_everything_off_it_shows_the_model_against_itself():
    view = waterfall.view(shown(a_result(speedup=1.0)), {})
    assert [column["name"] for column in view["columns"]] == ["eager", "now"]


def test_a_step_that_costs_more_quality_than_is_accepted_is_red_and_no_gain_of_it_green():
    found = bars(shown(with_loss(quantized(6.0), 0.3), in_fp32(4.0)))
    assert [bar["tone"] for bar in found["Accuracy"]] == ["total", "", "worse", "total"]
    assert [bar["tone"] for bar in found["Latency"]] == ["total", "better", "", "total"]
    assert found["Size"][2]["tone"] == ""


def test_the_last_bar_is_what_runs_now_whatever_the_links_came_to():
    state = shown(quantized(6.0, latency_ms=0.3), in_fp32(4.0))
    assert bars(state)["Latency"][-1]["text"] == "0.300 ms"
    assert chain.links(state)[-1].after == state.result
