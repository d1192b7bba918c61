"""Files that hold no model that is read: the advice, followed, leads to one that is."""

from __future__ import annotations

import os
import pickle
import re

import pytest
import torch
from safetensors.torch import save_file

from tests.models.conftest import TwoLayers
from workbench.errors import WorkloadError
from workbench.models import load
from workbench.workload import Workload

FACTORY = "tests.models.conftest:two_layers"
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning", "ignore:.*torch.jit.*:FutureWarning")


def scripted(model, path):
    torch.jit.trace(model, torch.rand(2, 3, 4, 4)).save(path)


def pickled(model, path):
    path.write_bytes(pickle.dumps(model))


FILES = {
    "model.safetensors": lambda model, path: save_file(model.state_dict(), path),
    "model.pth": lambda model, path: torch.save(model.state_dict(), path),
    "whole.pth": lambda model, path: torch.save(model, path),
    "checkpoint.ckpt": lambda model, path: torch.save({"state_dict": model.state_dict(), "epoch": 3}, path),
    "scripted.pt": scripted,
    "scripted.torchscript": scripted,
    "model.pkl": pickled,
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_model_file_is_answered_with_what_leads_to_one(name, model, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))
    FILES[name](model, tmp_path / name)
    with pytest.raises(WorkloadError) as caught:
        load(Workload(name, data))
    advice = str(caught.value)
    assert "\n" not in advice
    assert "model='module:factory'" in advice
    if stored := re.search(r"torch\.save\(.*?\), and give", advice):
        exec(stored[0].removesuffix(", and give"), {"torch": torch, "model": model})
    weights = re.search(r"weights='(.*?)'", advice)[1]
    assert load(Workload(FACTORY, data, weights=weights)).key == load(Workload(model, data)).key


def test_a_module_of_torchscript_is_answered_with_how_to_store_the_one_it_was_made_from(model, data, tmp_path):
    with pytest.raises(WorkloadError, match=r"is TorchScript.*; give the nn.Module it was made from") as caught:
        load(Workload(torch.jit.trace(model, data[0][:2]), data))
    export = re.search(r"torch\.export\.export\(.*\)", str(caught.value))[0]
    program = eval(export, {"torch": torch, "module": TwoLayers().eval(), "example": data[0][:2]})
    torch.export.save(program, tmp_path / "m.pt2")
    assert load(Workload(tmp_path / "m.pt2", data)).output_shape == (5,)


def test_torchscript_where_weights_are_expected_is_answered_with_how_to_store_them(model, data, tmp_path):
    scripted(model, tmp_path / "w.pt")
    with pytest.raises(WorkloadError, match=r"is TorchScript; store its weights: ") as caught:
        load(Workload(FACTORY, data, weights=str(tmp_path / "w.pt")))
    exec(str(caught.value).partition("weights: ")[2].replace("weights.pth", str(tmp_path / "w.pth")), {"torch": torch})
    assert load(Workload(FACTORY, data, weights=str(tmp_path / "w.pth"))).output_shape == (5,)
