"""The graph of the model: who stands where, which way edges take, and what a node says."""

from __future__ import annotations

import pytest

from tests.results import a_result
from tests.widgets.parts import normalised
from workbench import events
from workbench.layer import INPUT, OUTPUT, Flow
from workbench.widgets import LayerGraph
from workbench.widgets._twin import TEXT
from workbench.widgets.page import graph
from workbench.widgets.page.layout import LANE_HEIGHT, laid_out
from workbench.widgets.page.state import PageState, Stored, reduce

FLOW = Flow(nodes=(INPUT, "conv1", OUTPUT), joins={}, edges=((INPUT, "conv1"), ("conv1", OUTPUT)))


def timed(**times):
    (layer,) = a_result().receipt
    return tuple(layer.model_copy(update={"layer": name, "time_ms": time}) for name, time in times.items())


def test_layers_stand_from_left_to_right_in_the_order_of_their_edges():
    layout = laid_out({"a": 50, "b": 60, "c": 50}, [("a", "b"), ("b", "c")])
    (ax, ay), (bx, by), (cx, cy) = (layout.corners[name] for name in "abc")
    assert ax + 50 < bx < bx + 60 < cx
    assert ay == by == cy


def test_the_way_around_layers_takes_a_lane_of_its_own():
    nodes = dict.fromkeys("abcd", 50)
    layout = laid_out(nodes, [("a", "b"), ("b", "c"), ("c", "d"), ("a", "d")])
    assert {layout.corners[name][1] for name in "abcd"} == {layout.corners["a"][1]}
    around = layout.edges["a", "d"]
    middle = around[0][1]
    assert [y for _, y in around] == [middle, *[middle + LANE_HEIGHT] * 4, middle]


def test_barycentres_leave_two_ways_uncrossed():
    nodes = dict.fromkeys(("in", "p", "q", "p2", "q2", "out"), 50)
    layout = laid_out(nodes, [("in", "p"), ("in", "q"), ("q", "q2"), ("p", "p2"), ("q2", "out"), ("p2", "out")])
    assert layout.corners["p"][1] == layout.corners["p2"][1] != layout.corners["q"][1] == layout.corners["q2"][1]


def test_everything_lies_within_the_drawing():
    layout = laid_out({"a": 50, "b": 90, "c": 50}, [("a", "c")])
    assert all(x >= 0 and x + 50 <= layout.width and 0 <= y < layout.height for x, y in layout.corners.values())


def test_a_node_tells_its_share_of_the_time_in_colour_and_number():
    flow = Flow(nodes=("a", "b"), joins={}, edges=(("a", "b"),))
    nodes = graph.view(flow, timed(a=0.3, b=0.1))["nodes"]
    assert [(node["shade"], node["percent"], node["reality"]) for node in nodes] == [
        (1.0, "75 %", "real"),
        (0.333, "25 %", "real"),
    ]


def test_without_times_a_node_has_no_number():
    (node,) = (node for node in graph.view(FLOW, a_result().receipt)["nodes"] if node["kind"] == "layer")
    assert (node["shade"], node["percent"]) == (0, "")


def test_what_was_folded_stays_in_its_place_and_is_marked():
    norm, layer = normalised(a_result()).receipt
    flow = Flow(nodes=("conv1", "norm"), joins={}, edges=(("conv1", "norm"),))
    nodes = graph.view(flow, (norm.model_copy(update={"after": None}), layer))["nodes"]
    assert [node["gone"] for node in nodes] == [False, True]


@pytest.mark.parametrize("names", [("another",), ("conv1", "another")])
def test_the_flow_of_another_model_is_not_drawn(names):
    flow = Flow(nodes=names, joins={}, edges=())
    assert graph.view(flow, a_result().receipt) == {}


def test_a_layer_that_was_removed_is_no_node_of_what_took_its_place():
    (layer,) = a_result().receipt
    assert graph.view(FLOW, (layer.model_copy(update={"after": None}),)) == {}


def test_the_page_keeps_the_structure_of_the_run_until_another_workload_is_shown():
    state = reduce(PageState(), events.Started(run=1, workload="a", workload_id="", recipe={}))
    state = reduce(state, events.Structure(run=1, flow=FLOW))
    assert state.flow == FLOW
    assert reduce(state, Stored(1, a_result(workload="a"), "2026-01-01T00:00:00")).flow == FLOW
    assert reduce(state, events.Started(run=2, workload="b", workload_id="", recipe={})).flow is None


def test_a_reader_without_a_kernel_is_told_where_each_output_goes():
    data, _ = LayerGraph(FLOW, a_result())._repr_mimebundle_()
    assert "input" in data[TEXT]
    assert "conv1" in data[TEXT]
