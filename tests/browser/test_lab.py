"""What only a notebook has: cells with a model of one's own, and keys of its own."""

from __future__ import annotations

from tests.browser import the_page
from tests.browser.hosts import ONLY_LAB, notebook

CELLS = "Array.from(jupyterapp.shell.currentWidget.content.model.cells, (cell) => cell.toJSON().cell_type)"
OWN_MODEL = """\
import torch
import workbench as wb


class Own(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = torch.nn.Linear(64, 128)
        self.out = torch.nn.Linear(128, 4)

    def forward(self, x):
        return self.out(torch.relu(self.hidden(x)))


torch.manual_seed(0)
data = (torch.randn(400, 64), torch.arange(400) % 4)
wb.show(Own().eval(), data)
"""


@ONLY_LAB
def test_a_model_defined_in_a_cell_becomes_int8_and_shows_its_receipt(host, open_page, picture):
    (host.server.data / "own.ipynb").write_text(notebook(OWN_MODEL))
    page = host.open(open_page, "own.ipynb")
    the_page.finished(page)
    the_page.turn(page, "Quantize", True)
    the_page.finished(page)
    the_page.tab(page, "Layers")
    page.get_by_role("button", name="hidden", exact=True).click()
    receipt = page.get_by_role("group", name="Receipt of hidden")
    receipt.wait_for()
    picture(page, "lab-own-model")
    assert "int8" in receipt.inner_text()
    assert page.errors == []
    host.close(page)


NOTHING_TO_PRUNE = """\
import torch
import workbench as wb

model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
wb.show(model, (torch.randn(400, 4, 6, 6), torch.arange(400) % 4))
"""


@ONLY_LAB
def test_a_toggle_that_could_do_nothing_is_greyed_says_why_and_stays_off(host, open_page, picture):
    (host.server.data / "nothing.ipynb").write_text(notebook(NOTHING_TO_PRUNE))
    page = host.open(open_page, "nothing.ipynb")
    the_page.finished(page)
    prune = the_page.switch(page, "Prune")
    assert prune.get_attribute("aria-disabled") == "true"
    reason = page.locator(f"#{prune.get_attribute('aria-describedby')}")
    assert "this model has no" in reason.inner_text()
    prune.click(force=True)
    picture(page, "lab-nothing-to-prune")
    assert prune.get_attribute("aria-checked") == "false"
    assert the_page.recipe(page)["steps"] == []
    assert page.errors == []
    host.close(page)


@ONLY_LAB
def test_keys_pressed_on_the_page_leave_the_notebook_alone(plain):
    before = plain.evaluate(CELLS)
    the_page.switch(plain, "Prune").focus()
    for key in ("a", "b", "m", "x", "d", "d", "z"):
        plain.keyboard.press(key)
    assert plain.evaluate(CELLS) == before
