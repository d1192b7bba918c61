"""What a result says of itself where no widget shows it."""

from __future__ import annotations

from xml.etree import ElementTree

from tests.results import a_result
from workbench.receipt import Result


def test_a_result_leaves_its_figures_in_the_notebook_as_html():
    result = a_result(speedup=3.0)
    shown = result._repr_html_()
    tree = ElementTree.fromstring(f"<div>{shown}</div>")
    figures, receipt = tree.iter("table")
    assert [[cell.text for cell in row] for row in figures.iter("tr")][1] == [
        "latency, median", "0.6 ms", "0.2 ms", "3× (2.94 to 3.06)",
    ]  # fmt: skip
    assert "QLinearConv" in "".join(receipt.itertext())
    assert result.verdict in "".join(tree.itertext())


def test_names_of_layers_are_text_there_and_no_markup():
    (layer,) = a_result().receipt
    shown = a_result().model_copy(update={"receipt": (layer.model_copy(update={"layer": "<script>"}),)})._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_results_of_before_there_was_a_word_on_it_count_as_settled():
    stored = a_result().model_dump(mode="json")
    del stored["settled"]
    assert Result.model_validate(stored).settled
