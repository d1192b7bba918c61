from __future__ import annotations

from tests.browser import the_page

RUN_ALL = """async () => {
    const { context } = jupyterapp.shell.currentWidget;
    await Promise.all([context.ready, context.sessionContext.ready]);
    await context.sessionContext.session.kernel.info;
    jupyterapp.commands.execute("notebook:run-all-cells");
}"""


def test_in_jupyterlab_the_template_notebook_measures_and_toggles(open_page, lab, picture):
    page = open_page(lab, width=1440, height=1000)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    page.evaluate(RUN_ALL)
    page.wait_for_selector(".wb-switch")
    the_page.finished(page)
    before = the_page.figures(page)
    the_page.turn(page, "Quantize", True)
    the_page.wait_for_recipe(page, "r.steps.length === 1")
    the_page.finished(page)
    picture(page, "lab")
    assert the_page.figures(page)[3] != before[3]
    assert the_page.serious_findings(page) == []
    page.context.close()
