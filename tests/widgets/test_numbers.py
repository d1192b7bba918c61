"""A layer's weights as they are drawn, and how the page comes by them."""

from __future__ import annotations

import threading

from tests.results import a_result
from tests.widgets.parts import a_layer_detail
from workbench import events
from workbench.errors import WorkbenchError
from workbench.layer import Histogram
from workbench.widgets.page import numbers


def sides(detail):
    return numbers.view(detail)["sides"]


def read(settle) -> None:
    """Wait for the threads that fetch, and write what they have."""
    for thread in threading.enumerate():
        if thread.name == "read-layer":
            thread.join()
    settle()


def finish(session):
    session.say(events.Finished(run=session.last, result=a_result()))


def test_floats_are_drawn_in_intervals_and_int8_on_its_grid():
    before, now = sides(a_layer_detail("conv1"))
    assert (before["title"], before["grid"], before["ends"]) == ("before, fp32", False, ["−1.00", "1.00"])
    assert (now["title"], now["grid"], now["ends"]) == ("now, int8", True, ["−128", "127"])
    assert len(now["counts"]) == 256


def test_range_zeros_levels_and_scale_are_told_in_words():
    _, now = sides(a_layer_detail("conv1"))
    assert now["facts"] == ["−1.00 to 1.00", "25 % zeros", "16 B", "4 of 256 levels used", "scale 0.00787"]


def test_zero_has_a_place_among_the_values_and_is_one_of_the_levels():
    before, now = sides(a_layer_detail("conv1"))
    assert before["zero"]["at"] == 0.5
    assert (now["zero"]["at"], now["zero"]["count"]) == (128, 1)


def test_with_another_zero_point_no_level_is_called_zero():
    detail = a_layer_detail("conv1")
    shifted = Histogram(low=-128, width=1, counts=(*detail.after.levels.counts[1:], 0))
    (side,) = sides(
        detail.model_copy(update={"before": None, "after": detail.after.model_copy(update={"levels": shifted})})
    )
    assert side["zero"]["at"] is None


def test_a_side_that_is_not_there_is_not_drawn():
    assert [side["name"] for side in sides(a_layer_detail("norm").model_copy(update={"after": None}))] == ["before"]


def test_unfolding_a_row_of_a_finished_run_fetches_its_numbers(bench, session, settle):
    finish(session)
    settle()
    bench.graph.selected = "conv1"  # a click on the node is one on the row
    assert bench.layers.selected == "conv1"
    read(settle)
    assert bench.layers.detail["layer"] == "conv1"
    assert len(bench.layers.detail["sides"]) == 2
    assert session.layers_asked == ["conv1"]


def test_while_a_run_is_on_nothing_is_asked_and_its_end_brings_the_numbers(bench, session, settle):
    bench.layers.selected = "conv1"
    read(settle)
    assert session.layers_asked == []
    assert "when the run has ended" in bench.layers.detail["note"]
    finish(session)
    settle()
    read(settle)
    assert session.layers_asked == ["conv1"]
    assert "sides" in bench.layers.detail


def test_what_goes_wrong_stands_where_the_numbers_would(bench, session, settle):
    finish(session)
    settle()
    session.refusal = WorkbenchError("the weights of this run aren't in memory any more")
    bench.layers.selected = "conv1"
    read(settle)
    assert bench.layers.detail == {"layer": "conv1", "note": "the weights of this run aren't in memory any more"}
