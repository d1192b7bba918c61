"""What is measured is what the model and the data are at that moment."""

from __future__ import annotations

import copy
import os
import time

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.models.conftest import two_layers
from workbench.recipe import Recipe
from workbench.session.parcel import Parcels
from workbench.workload import Workload

INPUTS = torch.rand(60, 3, 4, 4, generator=torch.Generator().manual_seed(0))
EAGER = Recipe.parse(place={"engine": "eager", "threads": 1})


def always(answer: int) -> nn.Module:
    """Says one class, whatever it sees."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 5)).eval()
    say(model, answer)
    return model


def say(model: nn.Module, answer: int) -> None:
    with torch.no_grad():
        model[1].weight.zero_()
        model[1].bias.zero_()
        model[1].bias[answer] = 1


def fresh_labels() -> torch.Tensor:
    return torch.zeros(60, dtype=torch.int64)


def test_weights_trained_in_place_are_measured_as_they_are_now(session):
    model = always(0)
    workload = Workload(model, data=(INPUTS, fresh_labels()))
    assert session.start(workload, EAGER, baseline="eager").result().variant.quality.value == 1
    say(model, 3)
    assert session.start(workload, EAGER, baseline="eager").result().variant.quality.value == 0


def test_data_changed_in_place_are_measured_as_they_are_now(session):
    labels = fresh_labels()
    workload = Workload(always(0), data=(INPUTS, labels))
    assert session.start(workload, EAGER, baseline="eager").result().variant.quality.value == 1
    labels += 1
    assert session.start(workload, EAGER, baseline="eager").result().variant.quality.value == 0


def through_data(workload: Workload) -> None:
    workload.model[1].bias.data[0] += 1  # passes the parameter's version by


def by_an_optimizer(workload: Workload) -> None:
    optimizer = torch.optim.Adam(workload.model.parameters())
    workload.model(INPUTS).sum().backward()
    optimizer.step()


def a_setting(workload: Workload) -> None:
    workload.model[0].start_dim = 2


def through_numpy(workload: Workload) -> None:
    np.random.default_rng(0).shuffle(workload.data[0].numpy())


@pytest.mark.parametrize("change", [through_data, by_an_optimizer, a_setting, through_numpy])
def test_a_workload_is_sent_again_once_something_in_it_changed(change):
    parcels = Parcels()
    workload = Workload(always(0), data=(INPUTS.clone(), fresh_labels()))
    first = parcels.pack(workload)
    assert parcels.pack(workload) is first
    change(workload)
    again = parcels.pack(workload)
    assert again.token != first.token
    assert parcels.tokens() == {again.token}, "what it was can't be asked for any more"


@pytest.mark.parametrize("form", ["array", "dataset", "loader"])
def test_data_in_any_form_are_seen_to_change(form):
    inputs, labels = INPUTS.numpy().copy(), fresh_labels().numpy()
    dataset = TensorDataset(torch.from_numpy(inputs), torch.from_numpy(labels))
    data = {"array": (inputs, labels), "dataset": dataset, "loader": DataLoader(dataset, batch_size=7)}[form]
    parcels, workload = Parcels(), Workload(always(0), data=data)
    first = parcels.pack(workload)
    assert parcels.pack(workload) is first
    inputs[3] += 1
    assert parcels.pack(workload) is not first


def test_a_file_written_anew_is_read_anew(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(two_layers().state_dict(), path)
    workload = Workload("tests.models.conftest:two_layers", data=(INPUTS, fresh_labels()), weights=str(path))
    parcels = Parcels()
    first = parcels.pack(workload)
    assert parcels.pack(workload) is first
    save_file({name: weight + 1 for name, weight in two_layers().state_dict().items()}, path)
    os.utime(path, (time.time() + 1, time.time() + 1))  # a file system's clock has ticks of some milliseconds
    assert parcels.pack(workload) is not first


def test_a_folder_in_which_a_file_is_written_anew_is_read_anew(tmp_path):
    path = tmp_path / "config.json"
    path.write_text("{}")
    workload, parcels = Workload(str(tmp_path), data=(INPUTS, fresh_labels())), Parcels()
    first = parcels.pack(workload)
    assert parcels.pack(workload) is first
    path.write_text("{ }")
    assert parcels.pack(workload) is not first


def test_a_spectral_norm_comes_off_before_a_model_is_sent(session):
    model = always(0)
    nn.init.normal_(model[1].weight)  # of zeros it is no number
    nn.utils.parametrizations.spectral_norm(model[1]).eval()
    expected = (model.eval()(INPUTS).argmax(1) == 0)[torch.arange(60) % 5 != 4].double().mean()
    result = session.start(Workload(model, data=(INPUTS, fresh_labels())), EAGER, baseline="eager").result()
    assert result.variant.quality.value == pytest.approx(float(expected))


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile, nn.utils.parametrizations.weight_norm])
def test_what_is_wrapped_around_a_module_comes_off_before_it_is_sent(wrap, session):
    model = always(0)
    plain = copy.deepcopy(model)
    wrapped = wrap(model) if wrap is not nn.utils.parametrizations.weight_norm else model
    if wrapped is model:
        wrap(model[1])
        with torch.no_grad():
            model[1].parametrizations.weight.original1.fill_(1.0)
        plain[1].weight.data = model[1].weight.detach().clone()
    result = session.start(Workload(wrapped, data=(INPUTS, fresh_labels())), EAGER, baseline="eager").result()
    expected = (plain(INPUTS).argmax(1) == 0)[torch.arange(60) % 5 != 4].double().mean()
    assert result.variant.quality.value == pytest.approx(float(expected))
