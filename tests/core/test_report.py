"""The page that goes along with a saved model."""

from __future__ import annotations

from html.parser import HTMLParser

from tests.results import a_result
from workbench.core.report import report
from workbench.recipe import Recipe


class Text(HTMLParser):
    """The text of a page whose tags close in order, and what it refers to outside itself."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open, self.words, self.links = [], [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.links += [value for name, value in attributes if name in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def of(result) -> Text:
    files = [("model.pt2", 231_000)]
    environment = {"cpu": "a <fast> one", "cores": 2, "versions": {"torch": "2.13"}}
    return Text(report("fashion-cnn", Recipe.parse(result.recipe), files, result.receipt, environment, result))


def test_it_holds_machine_figures_intervals_receipt_and_recipe():
    words = of(a_result(speedup=2.0, latency_ms=0.2)).words
    for told in (
        "2.0× faster", "0.2 ms (p95 0.24)", "0.4 ms (p95 0.48)", "92.00 % (91.50 % – 92.50 %)", "800 kB", "200 kB",
        "2 (1.96 – 2.04) ×", "conv1", "QLinearConv", "real", "a <fast> one", '{"torch": "2.13"}', "model.pt2", "231 kB",
    ):  # fmt: skip
        assert told in words
    assert any('"workbench_recipe": 1' in each for each in words)


def test_it_needs_nothing_from_elsewhere():
    assert of(a_result()).links == []
