"""The two places where the page lives, Voila and JupyterLab, and what is done differently in them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest
from playwright.sync_api import Page

from tests.browser import the_page
from tests.browser.servers import Server, served

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
RUN_ALL = """async () => {
    const { context } = jupyterapp.shell.currentWidget;
    await Promise.all([context.ready, context.sessionContext.ready]);
    await context.sessionContext.session.kernel.info;
    jupyterapp.commands.execute("notebook:run-all-cells");
}"""
SHUT_DOWN = "() => jupyterapp.shell.currentWidget.context.sessionContext.shutdown()"
SAVE = "() => jupyterapp.commands.execute('docmanager:save')"
CHANGE_THEME = "(theme) => jupyterapp.commands.execute('apputils:change-theme', { theme })"

OpenPage = Callable[..., Page]
ONLY_VOILA, ONLY_LAB = (
    pytest.mark.parametrize("host", [name], indirect=True, scope="session") for name in ("voila", "lab")
)


class Host(Protocol):
    """One of them, served."""

    name: str
    server: Server

    def open(self, open_page: OpenPage) -> Page:
        """A new window with a page of its own, as soon as its frame is there."""

    def close(self, page: Page) -> None:
        """Close the window, and see to it that its kernel's worker takes no more of the others' time."""

    def reload(self, page: Page) -> None:
        """What a person does who wants to see the page anew and lose nothing."""

    def dark(self, open_page: OpenPage, page: Page) -> Iterator[Page]:
        """A context with a page in the dark theme; ``page`` is as before after it."""


class Voila:
    name = "voila"

    def __init__(self, server: Server) -> None:
        self.server = server

    def open(self, open_page: OpenPage, query: str = "") -> Page:
        page = open_page(self.server.address + query)
        the_page.drawn(page)
        return page

    def close(self, page: Page) -> None:
        page.context.close()  # the server ends kernels that nobody is connected to

    def reload(self, page: Page) -> None:
        page.reload()
        the_page.drawn(page)

    @contextmanager
    def dark(self, open_page: OpenPage, page: Page) -> Iterator[Page]:
        page = self.open(open_page, "/?theme=dark")
        yield page
        self.close(page)


class Lab:
    name = "lab"

    def __init__(self, server: Server) -> None:
        self.server = server

    def open(
        self,
        open_page: OpenPage,
        notebook: str = "workbench.ipynb",
        drawn: Callable[[Page], None] = the_page.drawn,
    ) -> Page:
        # in a workspace of its own: the common one brings back what other windows have open
        workspace = notebook.partition(".")[0]
        page = open_page(f"{self.server.address}/lab/workspaces/{workspace}/tree/{notebook}", height=1000)
        page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        page.evaluate(RUN_ALL)
        drawn(page)
        return page

    def close(self, page: Page) -> None:
        page.evaluate(SHUT_DOWN)
        page.context.close()

    def reload(self, page: Page) -> None:
        page.evaluate(SAVE)
        page.reload()
        the_page.drawn(page)

    @contextmanager
    def dark(self, open_page: OpenPage, page: Page) -> Iterator[Page]:
        page.evaluate(CHANGE_THEME, "JupyterLab Dark")
        yield page
        page.evaluate(CHANGE_THEME, "JupyterLab Light")


@contextmanager
def voila(data: Path) -> Iterator[Voila]:
    command = [str(NOTEBOOKS / "workbench.ipynb"), "--no-browser", "--token="]
    command += ["--VoilaConfiguration.template=workbench", "--VoilaConfiguration.allow_theme_override=YES"]
    command += ["--Voila.log_level=ERROR"]
    # as `workbench app` has it, only sooner: workers of closed pages go on preparing what may be asked next
    command += ["--VoilaConfiguration.multi_kernel_manager_class=workbench.widgets.page.voila.KernelManager"]
    command += ["--KernelManager.cull_idle_timeout=5", "--KernelManager.cull_interval=1"]
    with served("voila", command, data, ready="voila/static/voila.js") as server:
        yield Voila(server)


@contextmanager
def lab(data: Path) -> Iterator[Lab]:
    shutil.copy(NOTEBOOKS / "workbench.ipynb", data)
    command = [f"--ServerApp.root_dir={data}", "--no-browser", "--allow-root", "--IdentityProvider.token="]
    command += ["--ServerApp.log_level=ERROR", "--LabApp.expose_app_in_browser=True"]
    with served("jupyterlab", command, data, ready="api") as server:
        yield Lab(server)


def notebook(*sources: str) -> str:
    """A notebook with a cell of code for each of these."""
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{n}",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "source": source,
        }
        for n, source in enumerate(sources)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})
