"""What the rows of the layers say: times before and now, and which rows one takes the place of."""

from __future__ import annotations

from tests.results import a_result
from tests.widgets.parts import normalised
from workbench import events
from workbench.engines.native.pick.keep import KEPT
from workbench.receipt import LayerReceipt
from workbench.recipe import Recipe
from workbench.widgets.page import layers
from workbench.widgets.page.state import PageState, reduce

QUANTIZED = Recipe.parse(steps=[{"do": "quantize"}], place={"engine": "native", "threads": 1})
PLAIN = Recipe.parse(place={"engine": "eager", "threads": 1})


def timed(result, time_ms: float):
    (layer,) = result.receipt
    return result.model_copy(update={"receipt": (layer.model_copy(update={"time_ms": time_ms}),)})


def page_after(*results) -> PageState:
    state = PageState()
    for number, result in enumerate(results, 1):
        state = reduce(state, events.Finished(run=number, result=result))
    return state


def small(count: int, **changes) -> list[LayerReceipt]:
    norm, _ = normalised(a_result()).receipt
    return [norm.model_copy(update={"layer": f"norm{n}", **changes}) for n in range(count)]


def test_a_layer_s_time_stands_beside_what_it_took_in_the_plain_model_that_this_page_has_measured():
    plain = timed(a_result(recipe=PLAIN.model_dump(mode="json")), 0.2)
    state = page_after(plain, timed(a_result(recipe=QUANTIZED.model_dump(mode="json")), 0.05))
    (row,) = layers.rows(state.receipt, layers.before_ms(state))
    assert (row["time"], row["was"]) == ("50.0", "200")
    assert (row["share"], row["was_share"]) == (0.25, 1.0)


def test_where_the_plain_model_was_not_measured_there_is_the_time_now_alone():
    state = page_after(timed(a_result(recipe=QUANTIZED.model_dump(mode="json")), 0.05))
    (row,) = layers.rows(state.receipt, layers.before_ms(state))
    assert (row["time"], row["was"], row["share"]) == ("50.0", "", 1.0)


def test_the_plain_model_itself_has_no_time_before():
    assert layers.before_ms(page_after(timed(a_result(recipe=PLAIN.model_dump(mode="json")), 0.2))) == {}


def test_small_layers_that_are_unchanged_share_a_row():
    rows = layers.rows([*a_result().receipt, *small(12)])
    assert [row["group"] for row in rows] == ["", *["12 layers unchanged"] * 12]


def test_small_layers_that_were_folded_share_another():
    rows = layers.rows([*small(2, reality="real", after=None), *small(2)])
    assert {row["group"] for row in rows} == {"2 layers folded into others, or gone", "2 layers unchanged"}


def test_one_small_layer_stands_for_itself():
    assert [row["group"] for row in layers.rows(small(1))] == [""]


def test_a_layer_with_weights_stands_for_itself_though_it_is_unchanged():
    (layer,) = a_result().receipt
    unchanged = layer.model_copy(update={"reality": "unchanged"})
    assert [row["group"] for row in layers.rows([unchanged, unchanged])] == ["", ""]


def test_a_layer_that_is_computed_in_fp32_as_before_does_not_say_that_it_became_int8():
    (layer,) = a_result().receipt
    kept = layer.model_copy(update={"reality": "unchanged", "compute_dtype": "float32", "reason": f"{KEPT}; folded"})
    assert [row["change"] for row in layers.rows([kept])] == ["fp32, kept: faster than int8 here"]
    assert [row["change"] for row in layers.rows([layer])] == ["fp32\N{NO-BREAK SPACE}→\N{NO-BREAK SPACE}int8"]
