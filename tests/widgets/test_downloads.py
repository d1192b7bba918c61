from __future__ import annotations

import threading

import pytest

from workbench.recipe import Recipe
from workbench.widgets import Downloads
from workbench.widgets.page import pump
from workbench.widgets.takeaway.downloads import archive_name
from workbench.workload import Workload


def test_whatever_goes_wrong_in_saving_is_shown_and_can_be_tried_again():
    def save(directory):
        raise RuntimeError("the pipe broke")

    downloads = Downloads(save=save, state="ready")
    downloads.wanted += 1
    for thread in threading.enumerate():
        if thread.name == "save-model":
            thread.join()
    pump.shared().flush()
    assert downloads.state == "ready"
    assert downloads.error == "the model couldn't be saved: RuntimeError: the pipe broke"


@pytest.mark.parametrize(
    ("workload", "recipe", "name"),
    [
        ("fashion-cnn", {}, "fashion-cnn_fp32_auto.zip"),
        (
            "fashion-cnn",
            {"steps": [{"do": "quantize"}], "place": {"engine": "native"}},
            "fashion-cnn_quantize-int8-static_native.zip",
        ),
        (
            "folder/my model.pt2",
            {"steps": [{"do": "prune", "amount": 0.3}, {"do": "quantize", "scheme": "bf16"}]},
            "my-model_prune-0.3_quantize-bf16_auto.zip",
        ),
    ],
)
def test_an_archive_is_named_by_workload_and_recipe(workload, recipe, name):
    assert archive_name(Workload(workload), Recipe.parse(recipe)) == name
