"""The pipeline: a line for each step, what unfolds below it, and room for many techniques."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import hosts, the_page
from tests.browser.hosts import ONLY_VOILA

CLASS = '''
class {title}(Technique):
    """Round weights to {n} decimals.

    A made-up one, number {n}.
    """

    title: ClassVar[str] = "{title}"
    family: ClassVar[str] = "{family}"
    order: ClassVar[int] = {order}
    main_option: ClassVar[str] = "decimals"
    do: Literal["{name}"] = "{name}"
    decimals: int = option({n}, "decimals that weights keep", title="Decimals", ge=1, le=9)

    def apply(self, variant, context):
        module = copy.deepcopy(variant.module)
        for parameter in module.parameters():
            parameter.data = parameter.data.round(decimals=self.decimals)
        return variant.having(module=module)

'''
IMPORTS = "import copy\nfrom typing import ClassVar, Literal\n\nfrom workbench.techniques import Technique, option\n"
MADE_UP = [(f"Coarsen{n}", f"coarsen-{n}", "Coarsen" if n < 5 else "Polish", 30 + n, n) for n in range(1, 8)]


def outsiders(folder: Path) -> Path:
    """A package of somebody else's that brings seven techniques of two families."""
    parts = ("title", "name", "family", "order", "n")
    classes = [CLASS.format(**dict(zip(parts, each, strict=True))) for each in MADE_UP]
    (folder / "many.py").write_text(IMPORTS + "".join(classes))
    about = folder / "many-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: many\nVersion: 1\n")
    named = "".join(f"{name} = many:{title}\n" for title, name, *_ in MADE_UP)
    (about / "entry_points.txt").write_text(f"[workbench.techniques]\n{named}")
    return folder


@pytest.fixture(scope="module")
def many(tmp_path_factory, open_page) -> Iterator[Page]:
    """A page that offers ten techniques."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(outsiders(tmp_path_factory.mktemp("outsiders"))))
        with hosts.voila(tmp_path_factory.mktemp("many")) as host:
            page = host.open(open_page)
            the_page.finished(page)
            yield page
            assert page.errors == []
            page.context.close()


def shown(page: Page) -> list[str]:
    """The toggles that can be seen."""
    return page.locator('.wb-recipe-panel [role="switch"]:visible').all_inner_texts()


def options_of(page: Page, title: str):
    return page.get_by_role("button", name=f"Options of {title}", exact=True)


def test_the_pipeline_leads_from_the_model_over_its_steps_in_order_to_where_it_runs(plain):
    stages = plain.locator(".wb-recipe-panel section").evaluate_all("(all) => all.map((each) => each.ariaLabel)")
    assert stages == ["Model", "Distill", "Prune", "Quantize", "Run on"]
    assert "fashion-cnn" in the_page.card(plain, "Model").inner_text()


@ONLY_VOILA
def test_what_is_off_is_one_line_until_it_is_unfolded_and_what_is_on_can_be_folded(plain):
    amount = the_page.card(plain, "Prune").get_by_label("Amount")
    expect(amount).to_be_hidden()
    assert the_page.card(plain, "Prune").bounding_box()["height"] < 40
    options_of(plain, "Prune").click()
    expect(amount).to_be_visible()
    options_of(plain, "Prune").click()
    expect(amount).to_be_hidden()
    the_page.turn(plain, "Quantize", True)
    scheme = the_page.card(plain, "Quantize").get_by_label("Scheme", exact=True)
    expect(scheme).to_be_visible()
    options_of(plain, "Quantize").click()
    expect(scheme).to_be_hidden()
    expect(the_page.card(plain, "Quantize")).to_contain_text("int8")


@ONLY_VOILA
def test_choosing_how_something_is_done_has_it_done(plain):
    options_of(plain, "Quantize").click()
    the_page.card(plain, "Quantize").get_by_label("Scheme", exact=True).select_option("bf16")
    the_page.wait_for_recipe(plain, "r.steps[0]?.scheme === 'bf16'")
    expect(the_page.switch(plain, "Quantize")).to_have_attribute("aria-checked", "true")


@ONLY_VOILA
def test_the_question_mark_tells_what_a_technique_does_and_what_its_options_are(plain):
    ask = plain.get_by_role("button", name="What Prune does")
    ask.click()
    assert ask.get_attribute("aria-expanded") == "true"
    card = the_page.card(plain, "Prune")
    expect(card).to_contain_text("Without channels the layers are smaller")
    expect(card).to_contain_text("training passes afterwards")
    ask.click()
    expect(card).not_to_contain_text("Without channels the layers are smaller", use_inner_text=True)


def test_many_techniques_fold_by_family_and_what_is_on_stays_in_sight(many, picture):
    assert shown(many) == ["Distill", "Prune", "Quantize"]
    family = many.get_by_role("group", name="Coarsen", exact=True).locator("button").first
    assert family.get_attribute("aria-expanded") == "false"
    family.click()
    assert shown(many) == ["Distill", "Prune", *(f"Coarsen{n}" for n in range(1, 5)), "Quantize"]
    picture(many, "voila-many-techniques")
    the_page.switch(many, "Coarsen2").click()
    the_page.wait_for_recipe(many, "r.steps.some((step) => step.do === 'coarsen-2')")
    family.click()
    assert shown(many) == ["Distill", "Prune", "Coarsen2", "Quantize"]
    expect(family).to_contain_text("1 of 4 on")
    the_page.switch(many, "Coarsen2").click()
    the_page.wait_for_recipe(many, "r.steps.length === 0")
    the_page.finished(many)  # figures of the run before are pale until then
    assert the_page.serious_findings(many) == []


def test_the_search_finds_techniques_by_their_help_across_folded_families(many, picture):
    search = many.get_by_role("searchbox", name="Find a technique")
    search.fill("made-up 6")
    assert shown(many) == ["Coarsen6"]
    search.fill("no such thing")
    expect(many.get_by_role("status").get_by_text("No technique has")).to_be_visible()
    search.press("Escape")
    assert shown(many) == ["Distill", "Prune", "Quantize"]


@ONLY_VOILA
def test_few_techniques_need_no_search(plain):
    assert plain.get_by_role("searchbox").count() == 0


@ONLY_VOILA
def test_a_recipe_that_was_not_tried_yet_is_one_click_away(plain):
    offers = plain.get_by_role("region", name="Try next").get_by_role("button")
    expect(offers.first).to_be_visible()
    assert offers.count() <= 3
    name = offers.last.locator("span").first.inner_text()
    offers.last.click()
    the_page.wait_for_recipe(plain, "r.steps.length === 1")
    the_page.cancel(plain).click()
    the_page.at_rest(plain)
    plain.get_by_role("button", name="Undo", exact=True).click()
    the_page.wait_for_recipe(plain, "r.steps.length === 0")
    expect(offers.get_by_text(name, exact=True)).to_have_count(0)
