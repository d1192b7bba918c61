"""What a notebook that was saved keeps of a page: run by a real kernel, read without one."""

from __future__ import annotations

import nbclient
import nbformat

SHOWN = "import workbench as wb\npage = wb.show(wb.load('fashion-mlp'))\npage"
MEASURED = """
import asyncio

page.submit()
while page.state.phase != "finished":
    await asyncio.sleep(0.1)
await asyncio.sleep(1)  # for the pump
"""


def test_the_cell_that_showed_the_page_holds_its_figures_once_they_are_measured(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in (SHOWN, MEASURED)])
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute(cwd=str(tmp_path))
    kept, live = notebook.cells[0].outputs
    assert kept.data["text/html"].startswith('<div class="wb-twin-')
    assert all(words in kept.data["text/html"] for words in ("Latency, median", "89.5 %", "eager"))
    assert "application/vnd.jupyter.widget-view+json" in live.data
    assert "text/html" not in live.data  # else a reader without a kernel would see them twice
