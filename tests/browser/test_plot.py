"""The plot of quality against latency alone, over figures that are known: what is drawn, and what can be done."""

from __future__ import annotations

from itertools import combinations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.hosts import ONLY_LAB, RUN_ALL, notebook

PLOT = """\
from workbench.receipt import Interval, Quality
from workbench.widgets import ParetoPlot
from workbench.widgets.page import quality
from workbench.widgets.page.metric import Metric

def accuracy(value):
    details = dict(metric="accuracy", title="accuracy", unit="share", better="higher", n=10_000)
    return Quality(value=value, low=value - 0.005, high=value + 0.005, **details)

def point(number, ms, value, label, batch=1):
    place = quality.point(ms, accuracy(value), label, Interval(value=1, low=0.97, high=1.03))
    return {"id": number, "batch": batch, **place}

plain = accuracy(0.916)
plot = ParetoPlot(
    rows=[
        point(1, 0.21, 0.9163, "fp32 on onnxruntime"),
        point(2, 0.085, 0.9161, "fp32 on native"),
        point(3, 0.041, 0.9158, "int8 on native"),
        point(4, 0.030, 0.9111, "prune 30 % and int8 on native"),
        point(5, 0.014, 0.102, "prune 90 % and int8 on native"),
        point(6, 0.190, 0.9155, "int8 on openvino"),
        point(7, 95.0, 0.9162, "fp32 on one thread"),
    ],
    metric=quality.plotted(Metric.of(plain)),
    baseline=quality.point(0.42, plain, "baseline: fp32 on eager"),
    accepted=quality.accepted_region(plain, 0.5),
)

def delete(change):
    plot.rows = [row for row in plot.rows if row["id"] != change["new"]]

plot.observe(delete, "deleted")
plot.observe(lambda change: setattr(plot, "current", point(0, 0.03, 0.915, "again")), "repeats")
plot
"""
MARKS = """(plot) => plot.data.filter((trace) => trace.hovertemplate).flatMap((trace) =>
    trace.text.map((label, i) => [label, trace.marker.symbol, trace.x[i], trace.y[i], trace.customdata[i][1]]))"""
PLACE = """([plot, label]) => {
    const trace = plot.data.find((trace) => trace.hovertemplate && trace.text.includes(label));
    const { xaxis, yaxis } = plot._fullLayout;
    const { left, top } = plot.getBoundingClientRect();
    const index = trace.text.indexOf(label);
    return [left + xaxis._offset + xaxis.d2p(trace.x[index]), top + yaxis._offset + yaxis.d2p(trace.y[index])];
}"""
WITHOUT = "([plot, label]) => !plot.data.some(({ text }) => text.includes(label))"
REACHES = "([plot, low, high]) => plot.layout.yaxis.range[0] === low && plot.layout.yaxis.range[1] === high"
REACHES_LESS = "([plot, low, high]) => plot.layout.yaxis.range[0] > low && plot.layout.yaxis.range[1] < high"

pytestmark = ONLY_LAB


@pytest.fixture(scope="module")
def cell(host, open_page):
    """A notebook with nothing but a cell that draws the plot."""
    (host.server.data / "plot.ipynb").write_text(notebook(PLOT))
    page = host.open(open_page, "plot.ipynb", drawn=lambda page: drawing(page).wait_for())
    page.set_default_timeout(30_000)
    yield page
    assert page.errors == []
    host.close(page)


@pytest.fixture
def plot(cell):
    """The plot, drawn anew: its cell is run again."""
    drawing(cell).evaluate("(plot) => plot.classList.add('of-another-test')")
    cell.evaluate(RUN_ALL)
    cell.locator(".of-another-test").wait_for(state="detached")
    cell.locator(".wb-pareto-plot .scatterlayer .point").first.wait_for()
    return cell


def drawing(page: Page) -> Locator:
    return page.get_by_role("img", name="Accuracy against latency")


def marks(page: Page) -> dict[str, list]:
    """By label: symbol, place and what hovering tells."""
    return {label: rest for label, *rest in drawing(page).evaluate(MARKS)}


def legend(page: Page) -> list[str]:
    return page.get_by_role("list", name="Marks").get_by_role("listitem").all_inner_texts()


def twin(page: Page) -> Locator:
    """The table, opened by keyboard."""
    details = page.locator(".wb-pareto-plot details")
    if details.get_attribute("open") is None:
        details.locator("summary").press("Enter")
    return details


def row(page: Page, label: str) -> Locator:
    return twin(page).get_by_role("row").filter(has=page.get_by_role("rowheader", name=label, exact=True))


def reach(page: Page) -> tuple[float, float]:
    """From where to where the axis of quality reaches."""
    return tuple(drawing(page).evaluate("(plot) => plot.layout.yaxis.range"))


def test_what_is_far_off_is_an_arrow_at_the_edge_with_its_true_figures(plot):
    low, _ = reach(plot)
    assert low > 89  # the destroyed model would have it reach to 10 %
    for label, figure in (("prune 90 % and int8 on native", "10.20"), ("fp32 on one thread", "95.0")):
        symbol, _, quality, told = marks(plot)[label]
        assert symbol == "arrow"
        assert quality >= low
        assert figure in told
        expect(row(plot, label)).to_contain_text(figure)
        expect(row(plot, label)).to_contain_text("off the plot")
    assert marks(plot)["int8 on native"][0] == "circle"


def test_the_legend_names_each_mark_that_is_there_and_no_other(plot):
    assert legend(plot) == ["front", "beaten", "baseline", "off the plot", "accepted: ≤ 0.5 pt lost"]
    row(plot, "int8 on native").get_by_role("button", name="Pin").press("Enter")
    expect(plot.locator(".wb-legend")).to_contain_text("pinned")


def test_labels_neither_meet_nor_leave_the_plot(plot):
    boxes = [label.bounding_box() for label in plot.locator(".wb-pareto-plot .annotation").all()]
    assert len(boxes) >= 3
    for one, other in combinations(boxes, 2):
        beside = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
        assert beside or one["y"] + one["height"] <= other["y"] or other["y"] + other["height"] <= one["y"]
    whole = drawing(plot).bounding_box()
    assert all(box["x"] >= whole["x"] and box["x"] + box["width"] <= whole["x"] + whole["width"] for box in boxes)


def test_dragging_zooms_in_and_a_double_click_or_the_button_shows_the_whole_again(plot):
    whole, reset = reach(plot), plot.get_by_role("button", name="Reset zoom")
    assert not reset.is_visible()
    area = plot.locator(".wb-pareto-plot .nsewdrag").bounding_box()
    at = lambda x, y: (area["x"] + x * area["width"], area["y"] + y * area["height"])  # noqa: E731
    for show_all in (lambda: reset.press("Enter"), lambda: plot.mouse.dblclick(*at(0.4, 0.95))):
        plot.mouse.move(*at(0.2, 0.05))
        plot.mouse.down()
        plot.mouse.move(*at(0.8, 0.5), steps=5)
        plot.mouse.up()
        reset.wait_for()
        plot.wait_for_function(REACHES_LESS, arg=[drawing(plot).element_handle(), *whole])
        show_all()
        reset.wait_for(state="hidden")
        plot.wait_for_function(REACHES, arg=[drawing(plot).element_handle(), *whole])


def test_a_run_is_pinned_hidden_and_deleted_by_keyboard(plot):
    label = "int8 on openvino"
    row(plot, label).get_by_role("button", name="Pin").press("Enter")
    expect(row(plot, label).get_by_role("button", name="Unpin")).to_be_focused()
    expect(plot.locator(".wb-pareto-plot .annotation").filter(has_text=label)).to_have_count(1)
    row(plot, label).get_by_role("button", name="Hide").press("Enter")
    expect(row(plot, label)).to_contain_text("hidden")
    plot.wait_for_function(WITHOUT, arg=[drawing(plot).element_handle(), label])
    row(plot, label).get_by_role("button", name="Show").press("Enter")
    expect(row(plot, label)).to_contain_text("beaten")
    row(plot, label).get_by_role("button", name="Delete").press("Enter")
    expect(row(plot, label)).to_contain_text("For good?")
    expect(row(plot, label).get_by_role("button", name="Keep")).to_be_focused()
    plot.keyboard.press("Enter")
    expect(row(plot, label)).not_to_contain_text("For good?")
    row(plot, label).get_by_role("button", name="Delete").press("Enter")
    row(plot, label).get_by_role("button", name="Delete").press("Enter")
    expect(row(plot, label)).to_have_count(0)


def test_a_fifth_pin_is_refused_and_says_why(plot):
    for label in ("fp32 on native", "int8 on native", "int8 on openvino", "fp32 on one thread"):
        row(plot, label).get_by_role("button", name="Pin").press("Enter")
        row(plot, label).get_by_role("button", name="Unpin").wait_for()
    fifth = row(plot, "fp32 on onnxruntime").get_by_role("button", name="Pin")
    expect(fifth).to_have_attribute("aria-disabled", "true")
    assert "unpin one first" in fifth.get_attribute("title")


def test_a_click_on_a_point_opens_what_can_be_done_with_it(plot):
    x, y = plot.evaluate(PLACE, [drawing(plot).element_handle(), "int8 on native"])
    plot.mouse.move(x - 2, y)
    plot.mouse.move(x, y)
    plot.locator(".wb-pareto-plot .hovertext").wait_for()
    plot.mouse.click(x, y)
    box = plot.get_by_role("group", name="int8 on native")
    expect(box.get_by_role("button")).to_have_text(["Measure again", "Pin", "Hide", "Delete"])
    expect(plot.get_by_role("list", name="Marks")).to_contain_text("shown")
    box.get_by_role("button", name="Measure again").click()
    expect(plot.get_by_role("list", name="Marks")).to_contain_text("now")
    expect(box).to_be_hidden()
