"""What goes wrong around the page is said on it in words, and it goes on working."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.browser import the_page
from tests.browser.hosts import NOTEBOOKS


@pytest.mark.parametrize("host", ["voila"], indirect=True, scope="session")  # what happens is the same in the other
def test_a_killed_worker_is_said_in_words_and_the_next_toggle_works(plain, host, picture):
    the_page.train(plain)
    for worker in host.server.workers():
        worker.kill()
    the_page.phase(plain, "failed")
    picture(plain, f"{host.name}-error")
    said = plain.get_by_role("alert").filter(has_text="killed by signal 9")
    assert "restarted: run it again" in said.inner_text()
    the_page.turn(plain, "Distill", False)
    the_page.turn(plain, "Quantize", True)
    the_page.finished(plain)
    assert said.count() == 0


def test_a_kernel_that_died_is_said_over_the_page_and_the_recipe_survives(host, open_page, picture):
    others = host.server.kernels()
    if host.name == "lab":
        shutil.copy(NOTEBOOKS / "workbench.ipynb", host.server.data / "gone.ipynb")
    page = host.open(open_page, *(["gone.ipynb"] if host.name == "lab" else []))
    the_page.turn(page, "Quantize", True)
    the_page.finished(page)
    shown = the_page.recipe(page)
    (kernel,) = [each for each in host.server.kernels() if each not in others]
    kernel.kill()
    page.get_by_role("alert").filter(has_text="The kernel behind this page has ended").wait_for()
    picture(page, f"{host.name}-lost")
    if host.name == "lab":
        page.get_by_role("dialog").get_by_role("button", name="Ok").click()  # JupyterLab tells of it too
        page.get_by_role("button", name="Copy recipe").first.click()
        assert json.loads(page.evaluate("navigator.clipboard.readText()"))["steps"] == shown["steps"]
    else:
        page.get_by_role("button", name="Reconnect").click()
        the_page.drawn(page)
        the_page.finished(page)
        assert the_page.recipe(page) == shown
    page.context.close()
