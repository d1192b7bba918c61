from __future__ import annotations

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm

from workbench.errors import WorkloadError
from workbench.models.folding import folded_parametrizations

# The same product of the same numbers, computed once instead of at each call.
SAME = {"rtol": 0, "atol": 1e-6}


class Symmetric(nn.Module):
    def forward(self, weight):
        return weight.triu() + weight.triu(1).transpose(-1, -2)


def symmetric_and_normed(layer):
    parametrize.register_parametrization(parametrizations.weight_norm(layer), "weight", Symmetric())


def masked_twice(layer):
    prune.l1_unstructured(layer, "weight", 0.5)
    prune.random_unstructured(layer, "weight", 0.2)
    prune.random_unstructured(layer, "bias", 0.5)


KINDS = {
    "weight norm": parametrizations.weight_norm,
    "spectral norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "two, one on the other": symmetric_and_normed,
    "weight norm in a hook": weight_norm,
    "spectral norm in a hook": spectral_norm,
    "masks in a hook": masked_twice,
}


def with_computed_weights(kind, mode):
    """A net called once in ``mode``, as after training or loading."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv1d(3, 4, 3), nn.Flatten(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the older ones are deprecated
        for layer in (module[0], module[2]):
            if kind != "two, one on the other" or isinstance(layer, nn.Linear):
                KINDS[kind](layer)
    module.train(mode == "train")
    module(torch.randn(5, 3, 8))
    return module


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("kind", KINDS)
def test_computed_weights_become_plain_parameters_with_the_same_outputs(kind, mode):
    module = with_computed_weights(kind, mode)
    plain = folded_parametrizations(module)
    inputs = torch.randn(5, 3, 8)
    assert {name for name, _ in plain.named_parameters()} == {
        f"{layer}.{name}" for layer in (0, 2, 4) for name in ("weight", "bias")
    }
    assert not list(plain.buffers())
    assert plain.training == module.training
    torch.testing.assert_close(plain.eval()(inputs), module.eval()(inputs), **SAME)
    assert type(copy.deepcopy(plain)[2]) is nn.Linear


@pytest.mark.parametrize("kind", KINDS)
def test_the_given_module_goes_on_computing_its_weights(kind):
    module = with_computed_weights(kind, "eval")
    inputs, before = torch.randn(5, 3, 8), {name: weight.clone() for name, weight in module.state_dict().items()}
    outputs = module(inputs)
    folded_parametrizations(module)
    assert before.keys() == module.state_dict().keys()
    assert all(torch.equal(weight, before[name]) for name, weight in module.state_dict().items())
    assert torch.equal(module(inputs), outputs)


@pytest.mark.parametrize("normed", [weight_norm, parametrizations.weight_norm])
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
def test_a_recurrent_layers_weights_are_folded_too(normed):
    module = normed(nn.LSTM(3, 4, batch_first=True), "weight_hh_l0").eval()
    inputs = torch.randn(2, 5, 3)
    outputs = module(inputs)[0]
    plain = folded_parametrizations(module)
    torch.testing.assert_close(plain(inputs)[0], outputs, **SAME)
    assert any(weight is plain.weight_hh_l0 for weight in plain._flat_weights)


def test_a_module_without_computed_weights_is_given_back_itself():
    module = nn.Linear(2, 2)
    assert folded_parametrizations(module) is module


def test_weights_that_can_not_be_computed_without_a_call_are_refused_in_one_line():
    class Failing(nn.Module):
        def forward(self, weight):
            if self.training:
                return weight
            raise ValueError("only in\ntraining")

    module = nn.Linear(2, 2)
    parametrize.register_parametrization(module, "weight", Failing())
    with pytest.raises(WorkloadError, match=r"Linear computes weights .*: only in training; remove its"):
        folded_parametrizations(module)
