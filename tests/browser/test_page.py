"""The page as a person sees it, in Voila and in JupyterLab: the real core, the real server, real Chromium."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys

import pytest
from playwright.sync_api import TimeoutError

from tests.browser import the_page
from tests.browser.hosts import ONLY_VOILA
from tests.browser.servers import PATIENCE_SECONDS
from workbench.recipe import Recipe

OPENING_BYTES = 7_000_000
PLACES_OF_INT8_POINTS = """(plot) => {
    const { xaxis, yaxis } = plot._fullLayout;
    const { left, top } = plot.getBoundingClientRect();
    const place = (x, y) => [left + xaxis._offset + xaxis.d2p(x), top + yaxis._offset + yaxis.d2p(y)];
    const places = plot.data.flatMap(({ text, x, y }) =>
        (text ?? []).flatMap((label, i) => (label.includes("int8") ? [place(x[i], y[i])] : [])));
    return places.length ? places : null;
}"""
SAME_MEDIAN = """([figure, chart]) =>
    document.querySelector("[data-phase]").dataset.phase === "finished" &&
    chart.textContent.includes(`now ${figure.textContent}`)"""
PYTORCH_ALONE = """
import sys

sys.modules["workbench"] = sys.modules["torchao"] = None  # as if they weren't installed
import torch

print(torch.export.load("model.pt2").module()(torch.rand(3, 1, 28, 28)).shape)
"""
PARETO = "Accuracy against latency"


def test_it_opens_on_measured_figures(measured, host, picture):
    picture(measured, f"{host.name}-baseline")
    latency, _, accuracy, size = the_page.figures(measured)
    assert latency.endswith((" ms", " µs"))
    assert accuracy.endswith("%")
    assert size[0].isdigit()


def test_the_chart_shows_the_median_of_the_large_figure(measured):
    figure = the_page.figure(measured, "Latency, median").locator("p").first.element_handle()
    chart = measured.get_by_role("img", name="Latency;").element_handle()
    # asked in one go, as a baseline that has become ready may start a run in between
    measured.wait_for_function(SAME_MEDIAN, arg=[figure, chart])


def test_opening_it_takes_no_more_bytes_than_promised(page):
    assert page.bytes_of_opening <= OPENING_BYTES


def test_the_page_asks_for_nothing_outside_this_machine(page, host):
    assert [url for url in page.requests_made if not url.startswith((host.server.address, "blob:", "data:"))] == []


def on_an_int8_point(page, drawing) -> tuple[float, float]:
    """Where the mouse rests on one, and on no other that lies over it.

    A chart that has just got new figures may be drawn once more, with other axes.
    """
    while True:
        for x, y in page.wait_for_function(PLACES_OF_INT8_POINTS, arg=drawing.element_handle()).json_value():
            page.mouse.move(x - 2, y)
            page.mouse.move(x, y)
            with contextlib.suppress(TimeoutError):
                drawing.locator(".hoverlayer .hovertext", has_text="int8").wait_for(timeout=1500)
                return x, y


def test_a_point_of_the_plot_shows_its_run_as_it_was_until_it_is_measured_again(plain):
    the_page.turn(plain, "Quantize", True)
    the_page.finished(plain)
    the_page.turn(plain, "Quantize", False)
    the_page.finished(plain)
    drawing = plain.get_by_role("region", name=PARETO, exact=True).get_by_role("img", name="Accuracy against latency")
    drawing.scroll_into_view_if_needed()
    plain.mouse.click(*on_an_int8_point(plain, drawing))
    the_page.stored(plain)
    the_page.wait_for_recipe(plain, "r.steps.some((step) => step.do === 'quantize')")
    assert the_page.switch(plain, "Quantize").get_attribute("aria-checked") == "true"
    plain.locator(".wb-point").get_by_role("button", name="Measure again").click()
    plain.get_by_text("From the history").wait_for(state="detached")
    the_page.finished(plain)
    assert "quantize" in str(the_page.recipe(plain))


@ONLY_VOILA
def test_the_table_twin_does_the_same_by_keyboard(plain):
    the_page.turn(plain, "Quantize", True)
    twin = plain.get_by_role("region", name=PARETO, exact=True).locator("details")
    twin.locator("summary").focus()
    plain.keyboard.press("Enter")
    row = twin.locator("[data-row]:not([data-does])", has_text="fp32").first
    row.focus()
    plain.keyboard.press("Enter")
    the_page.wait_for_recipe(plain, "r.steps.length === 0")
    the_page.stored(plain)
    twin.locator("summary").click()


def test_tabs_work_by_arrow_keys(page):
    details = page.get_by_role("tablist", name="Details")
    the_page.tab(page, "Layers")
    for name in ("Sensitivity", "Examples"):
        page.keyboard.press("ArrowRight")
        assert details.get_by_role("tab", name=name).get_attribute("aria-selected") == "true"
        page.get_by_role("tabpanel", name=name).wait_for()
    page.keyboard.press("Home")
    page.get_by_role("tabpanel", name="Summary").wait_for()


@pytest.mark.parametrize("tab", ["Summary", "Layers", "History", "Take away"])
def test_axe_finds_nothing_serious(page, host, tab, picture):
    the_page.tab(page, tab)
    picture(page, f"{host.name}-{tab.lower().replace(' ', '-')}")
    assert the_page.serious_findings(page) == []


@pytest.mark.parametrize("tab", ["Summary", "Layers", "History"])
def test_no_table_hides_columns_at_the_right(page, tab):
    the_page.tab(page, tab)
    region = page.get_by_role("tabpanel", name=tab).get_by_role("region")
    assert region.evaluate("(region) => region.scrollWidth <= region.clientWidth")


@ONLY_VOILA
def test_the_copied_code_makes_the_faster_model_in_a_fresh_process(plain, tmp_path):
    the_page.turn(plain, "Quantize", True)
    the_page.tab(plain, "Take away")
    plain.get_by_role("button", name="Copy as Python").click()
    plain.get_by_text("Copied").wait_for()
    code = plain.evaluate("navigator.clipboard.readText()")
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}import torch; print(faster(torch.rand(3, 1, 28, 28)).shape)"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env=os.environ | {"WORKBENCH_DATA": str(tmp_path)},
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "quantize" in code
    assert ran.stdout.strip() == "torch.Size([3, 10])"


def test_the_copied_recipe_is_that_of_the_run(plain):
    the_page.turn(plain, "Quantize", True)
    the_page.choose(plain, "Quantize", "Scheme", "int8-static")  # the toggle brings back the scheme it last had
    the_page.finished(plain)  # until then the recipe may still name "auto" where the run's names the engine chosen
    the_page.tab(plain, "Take away")
    plain.get_by_role("button", name="Copy recipe").click()
    plain.get_by_text("Copied").wait_for()
    copied = Recipe.parse(plain.evaluate("navigator.clipboard.readText()"))
    assert copied == Recipe.parse(the_page.recipe(plain))
    assert copied.precision == "int8-static"


def test_what_is_taken_away_runs_in_an_empty_folder_and_is_the_model_measured(plain, tmp_path):
    the_page.turn(plain, "Quantize", True)
    the_page.choose(plain, "Quantize", "Scheme", "int8-static")  # others have no .onnx
    the_page.finished(plain)
    the_page.tab(plain, "Take away")
    with plain.expect_download() as coming:
        plain.get_by_role("button", name="Download model").click()
    engine = the_page.recipe(plain)["place"]["engine"]
    name = f"fashion-cnn_quantize-int8-static_{engine}.zip"
    assert coming.value.suggested_filename == name
    assert f"{name} (" in plain.get_by_text("Handed over").inner_text()
    coming.value.save_as(tmp_path / name)
    folder = tmp_path / "empty"
    shutil.unpack_archive(tmp_path / name, folder)
    assert Recipe.parse((folder / "recipe.json").read_text()) == Recipe.parse(the_page.recipe(plain))
    assert "with its 95 % interval" in (folder / "report.html").read_text()
    run = [sys.executable, "-I", "run.py"]
    ran = subprocess.run(run, capture_output=True, text=True, check=False, cwd=folder, timeout=PATIENCE_SECONDS)
    assert ran.returncode == 0, ran.stderr
    answers = dict(line.split(": ", 1) for line in ran.stdout.splitlines())
    assert {"model.pt2", "model.onnx"} <= answers.keys()
    assert len(set(answers.values())) == 1
    alone = subprocess.run([*run[:2], "-c", PYTORCH_ALONE], capture_output=True, text=True, check=False, cwd=folder)
    assert alone.stdout.strip() == "torch.Size([3, 10])", alone.stderr


def test_the_dark_theme_is_dark_and_readable(plain, host, open_page, picture):
    with host.dark(open_page, plain) as page:
        the_page.turn(page, "Quantize", True)
        the_page.finished(page)
        background = page.locator(".wb-page").evaluate("(page) => getComputedStyle(page).backgroundColor")
        picture(page, f"{host.name}-dark")
        assert max(int(part) for part in background.removeprefix("rgb(").removesuffix(")").split(",")) < 80
        assert the_page.serious_findings(page) == []


def test_after_a_reload_the_page_works_and_history_is_intact(measured, host):
    the_page.tab(measured, "History")
    before = measured.get_by_role("tabpanel", name="History").get_by_role("row").count()
    host.reload(measured)
    the_page.tab(measured, "History")
    the_page.finished(measured)
    assert measured.get_by_role("tabpanel", name="History").get_by_role("row").count() >= before
    the_page.turn(measured, "Quantize", True)
    the_page.finished(measured)
