"""Models and data of one's own, in every form that is taken, through the worker to real int8."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torch.utils.data import DataLoader, TensorDataset

import workbench as wb
from tests.models.conftest import two_layers
from tests.receipts import is_int8
from workbench import engines
from workbench.recipe import Recipe

INPUTS, LABELS = torch.rand(60, 3, 4, 4, generator=torch.Generator().manual_seed(0)), torch.arange(60) % 5
DATA = (INPUTS, LABELS)


def exported(model, folder) -> wb.Workload:
    batch = {0: torch.export.Dim("batch")}
    torch.export.save(torch.export.export(model, (INPUTS[:2],), dynamic_shapes=(batch,)), folder / "model.pt2")
    return wb.Workload(folder / "model.pt2", data=DATA)


def as_onnx(model, folder) -> wb.Workload:
    torch.onnx.export(model, (INPUTS[:2],), folder / "model.onnx", dynamic_shapes=({0: "batch"},), verbose=False)
    return wb.Workload(folder / "model.onnx", data=DATA)


def by_name(model, folder) -> wb.Workload:
    save_file(model.state_dict(), folder / "weights.safetensors")
    return wb.Workload("tests.models.conftest:two_layers", data=DATA, weights=folder / "weights.safetensors")


FORMS = {
    "a .pt2 file": exported,
    "an .onnx file": as_onnx,
    "the name of a factory, with weights": by_name,
    "a module and a Dataset": lambda model, folder: wb.Workload(model, data=TensorDataset(*DATA)),
    "a module and a DataLoader": lambda model, folder: wb.Workload(
        model, data=DataLoader(TensorDataset(*DATA), batch_size=7)
    ),
}


@pytest.mark.skipif(engines.preferred("int8-static") == ("eager",), reason="needs an engine with int8 kernels")
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_model_and_data_ends_in_int8_kernels(session, form, tmp_path):
    torch.manual_seed(0)
    workload = FORMS[form](two_layers().eval(), tmp_path)
    recipe = Recipe.parse(steps=[{"do": "quantize"}], place={"threads": 1})
    result = session.start(workload, recipe, baseline="eager").result()
    assert len(result.receipt) == 2
    assert all(map(is_int8, result.receipt))
    assert result.variant.quality.n == 48  # every fifth of 60 is set aside to learn from
