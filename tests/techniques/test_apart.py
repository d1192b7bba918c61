"""Single layers in fewer bits: what is swapped computes what a recipe that names the layer does."""

import math

import pytest
import torch
from torch import nn

from workbench.errors import Cancelled, EngineError, WorkbenchError
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Data

SCHEMES = ["int8-static", "int8-dynamic", "int8-weights", "int4-weights", "binary-weights"]


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 6, 3, bias=False), nn.BatchNorm2d(6)
        self.inner, self.last = nn.Linear(6 * 36, 32), nn.Linear(32, 5)

    def forward(self, images):
        return self.last(torch.relu(self.inner(torch.relu(self.norm(self.conv(images))).flatten(1))))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Small().eval()


@pytest.fixture(scope="module")
def context():
    torch.manual_seed(1)
    return Context(Data(torch.rand(64, 1, 8, 8)))


def exactly(scheme: str, **options) -> Quantize:
    """Nothing that is learned from the layers before it."""
    return Quantize(scheme=scheme, rounding="nearest", correct_biases=False, **options)


def outputs(step: Quantize, model, context, images) -> torch.Tensor:
    with torch.no_grad():
        return step.apply(Variant(model), context).graph(images)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_alone_in_a_scheme_a_layer_computes_what_a_recipe_that_names_it_makes_of_it(model, context, scheme):
    found, images = exactly(scheme).apart(model, context), torch.rand(7, 1, 8, 8)
    looked = found.looked((images,))
    for layer in found.calls:
        wanted = outputs(exactly(scheme, overrides={"*": "fp32", layer: scheme}), model, context, images)
        torch.testing.assert_close(found.only(looked, layer), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scheme", ["int8-dynamic", "int8-weights", "int4-weights", "binary-weights"])
def test_all_but_a_layer_compute_what_a_recipe_that_keeps_it_makes_of_them(model, context, scheme):
    found, images = exactly(scheme).apart(model, context), torch.rand(7, 1, 8, 8)
    looked = found.looked_quantized((images,))
    for layer in found.calls:
        wanted = outputs(exactly(scheme, overrides={layer: "fp32"}), model, context, images)
        torch.testing.assert_close(found.all_but(looked, layer), wanted, rtol=1e-4, atol=1e-5)


class Twice(nn.Module):
    """One layer after itself, and an attention, whose products are one layer's as well."""

    def __init__(self):
        super().__init__()
        self.shared, self.attention = nn.Linear(8, 8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.last = nn.Linear(8, 3)

    def forward(self, images):
        rows = torch.relu(self.shared(torch.relu(self.shared(images.squeeze(1)))))
        return self.last(self.attention(rows, rows, rows, need_weights=False)[0].mean(1))


@pytest.mark.parametrize("scheme", ["int8-dynamic", "int8-weights", "int4-weights"])
def test_all_calls_of_a_layer_are_swapped_together(context, scheme):
    torch.manual_seed(2)
    model, images = Twice().eval(), torch.rand(7, 1, 8, 8)
    found = exactly(scheme).apart(model, context)
    assert len(found.calls["shared"]) == 2
    alone, others = found.looked((images,)), found.looked_quantized((images,))
    for layer in ("shared", "last"):
        wanted = outputs(exactly(scheme, overrides={"*": "fp32", layer: scheme}), model, context, images)
        torch.testing.assert_close(found.only(alone, layer), wanted, rtol=1e-4, atol=1e-5)
        wanted = outputs(exactly(scheme, overrides={layer: "fp32"}), model, context, images)
        torch.testing.assert_close(found.all_but(others, layer), wanted, rtol=1e-4, atol=1e-5)


def test_in_int8_static_too_the_second_call_sees_what_the_first_has_changed(context):
    torch.manual_seed(2)
    model, images = Twice().eval(), torch.rand(7, 1, 8, 8)
    found = exactly("int8-static").apart(model, context)
    looked = found.looked_quantized((images,))
    moved = {layer: float((found.all_but(looked, layer) - looked.outputs).norm()) for layer in found.calls}
    exact = found.looked((images,))
    with torch.no_grad():
        every = found.looked_quantized((images,)).swapped([name for names in found.calls.values() for name in names])
    assert (every - exact.outputs).norm() < 0.2 * (looked.outputs - exact.outputs).norm() + 1e-4
    assert all(moved.values())


class Draws(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 3)

    def forward(self, images):
        return self.layer(images.flatten(1)) + torch.rand(3)


def test_a_model_that_draws_random_numbers_is_refused(context):
    with pytest.raises(EngineError, match="draws random numbers"):
        exactly("int8-weights").apart(Draws().eval(), context)


class Broken(nn.Module):
    """Its first layer gives what is no number."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(64, 8), nn.Linear(64, 3)
        self.first.weight.data[0, 0] = torch.inf

    def forward(self, images):
        return self.last(images.flatten(1)) + self.first(images.flatten(1)).nan_to_num(0, 0, 0).sum(1, keepdim=True)


def test_a_layer_whose_outputs_are_no_numbers_isn_t_told_as_exact(context):
    found = exactly("int8-weights").apart(Broken().eval(), context)
    assert not math.isfinite(found.errors["first"])
    assert 0 < found.errors["last"] < 0.1


def test_layers_are_told_in_execution_order_whether_they_have_a_form_or_not(model, context):
    found = exactly("int4-weights").apart(model, context)
    assert found.layers == ("conv", "inner", "last")
    assert list(found.calls) == ["inner", "last"]


def test_the_fewer_bits_the_further_off_are_a_layer_s_own_outputs(model, context):
    errors = [exactly(scheme).apart(model, context).errors["inner"] for scheme in ("int8-weights", *SCHEMES[3:])]
    assert 0 < errors[0] < errors[1] < errors[2] < 1


def test_a_bias_that_is_corrected_keeps_the_mean_of_a_layer_s_outputs(model, context):
    step = Quantize(scheme="binary-weights", rounding="nearest")
    found = step.apart(model, context)
    images = context.train.inputs[0]
    looked = found.looked((images,))
    exact, rounded = looked.value("linear_1"), found.only(looked, "last")
    spread = exact.std(0)
    assert ((rounded - exact).mean(0).abs() < 1e-4 * spread).all()
    uncorrected = exactly("binary-weights").apart(model, context)
    assert ((uncorrected.only(looked_of(uncorrected, images), "last") - exact).mean(0).abs() > 0.1 * spread).any()


def looked_of(found, images):
    return found.looked((images,))


def test_a_model_without_such_layers_is_refused_in_a_line(context):
    with pytest.raises(WorkbenchError, match="int4-weights quantizes linear layers only and this model has none"):
        exactly("int4-weights").apart(nn.Sequential(nn.Conv2d(1, 2, 3)).eval(), context)


class ReadsItAgain(nn.Module):
    """Reads through another look at the same memory what was changed in place."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        found = self.first(x.flatten(1)[:, :8])
        same = found.view(-1, 2, 4)
        same.mul_(3.0)
        return self.last(found)


def test_a_model_that_changes_in_place_what_it_reads_elsewhere_is_refused(context):
    with pytest.raises(EngineError, match="changes in place what it reads elsewhere"):
        exactly("int8-weights").apart(ReadsItAgain().eval(), context)


def test_it_stops_where_it_is_cancelled(model, context):
    calls = iter(range(3))

    def checkpoint() -> None:
        if next(calls, None) is None:
            raise Cancelled

    with pytest.raises(Cancelled):
        Quantize(scheme="int8-static").apart(model, Context(context.train, checkpoint=checkpoint))
