"""The run in words: what is real and what isn't, what each step did, and when it is of another run."""

from __future__ import annotations

import pytest

from tests.results import a_result
from tests.widgets.parts import normalised
from tests.widgets.test_layers import page_after
from workbench import events
from workbench.recipe import Recipe
from workbench.widgets.page import summary
from workbench.widgets.page.state import PageState, reduce

TITLES = {"quantize": "Quantize"}
QUANTIZED = Recipe.parse(steps=[{"do": "quantize"}], place={"engine": "native", "threads": 1}).model_dump(mode="json")


def layer(**changes):
    return a_result().receipt[0].model_copy(update=changes)


@pytest.mark.parametrize(
    ("receipt", "told"),
    [
        ([layer()], ["The layer with weights runs in int8"]),
        ([layer(), layer()], ["All 2 layers with weights run in int8"]),
        (
            [layer(), layer(reality="simulated", compute_dtype="float32"), layer()],
            ["2 of 3 layers with weights run in int8", "1 of 3 layers with weights is simulated, computed in fp32"],
        ),
        ([layer(reality="unchanged", compute_dtype=None)] * 2, ["All 2 layers with weights stay as before"]),
    ],
)
def test_what_is_real_is_counted_over_the_layers_with_weights(receipt, told):
    assert [line["text"] for line in summary.realities(receipt)] == told


def test_small_layers_do_not_count():
    assert [line["text"] for line in summary.realities(normalised(a_result()).receipt)] == [
        "The layer with weights runs in int8"
    ]


def test_each_reason_is_told_once():
    simulated = layer(reality="simulated", reason="eager imitates integers")
    (line,) = summary.realities([simulated, simulated])
    assert line["why"] == "eager imitates integers"


def test_engine_and_steps_are_told_in_their_order_with_their_share():
    result = a_result(recipe=QUANTIZED)
    only_engine = a_result(recipe={**QUANTIZED, "steps": []}, speedup=1.5)
    state = reduce(page_after(result), events.Ablation(run=1, result=only_engine))
    steps = summary.view(state, TITLES)["steps"]
    assert [(step["title"], step["what"]) for step in steps] == [("Run on", "native"), ("Quantize", "int8")]
    assert "1.50×" in steps[0]["text"]


def test_a_step_that_was_not_measured_by_itself_yet_says_so():
    steps = summary.view(page_after(a_result(recipe=QUANTIZED)), TITLES)["steps"]
    assert steps[0]["text"] == "measured as soon as nothing else runs"


def test_what_is_of_the_run_before_is_marked():
    state = reduce(
        page_after(a_result()), events.Started(run=2, workload="fashion-cnn", workload_id="", recipe=QUANTIZED)
    )
    assert summary.mark(state) == "stale"


def test_before_anything_was_measured_there_is_no_clause():
    assert summary.view(PageState(), TITLES)["clauses"] == []


def test_while_a_run_is_on_the_page_keeps_the_words_on_the_one_before_and_marks_them(bench, session, settle):
    session.say(events.Finished(run=session.last, result=a_result()))
    settle()
    settle()  # the summary comes after what the person waits for
    before = bench.summary.view
    bench.panel.recipe = QUANTIZED
    settle()
    assert bench.summary.view == before
    assert bench.summary.mark == "stale"
    session.say(events.Finished(run=session.last, result=a_result(recipe=QUANTIZED)))
    settle()
    settle()
    assert "int8" in bench.summary.view["heading"]
    assert bench.summary.mark == ""
