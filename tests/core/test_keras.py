"""A Keras model given in Python goes to the worker, and ends in real int8 kernels."""

from __future__ import annotations

import os
import pickle

import pytest
import torch

os.environ["KERAS_BACKEND"] = "torch"
keras = pytest.importorskip("keras", reason="needs the extra: pip install '.[keras]'")

import workbench as wb  # noqa: E402
from workbench.session.parcel import Parcels  # noqa: E402

INPUTS = torch.rand(60, 8, 8, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    convolution = keras.layers.Conv2D(4, 3, activation="relu", name="features")
    head = keras.layers.Dense(5, name="head")
    return keras.Sequential([keras.Input((8, 8, 3)), convolution, keras.layers.Flatten(), head])


@pytest.mark.usefixtures("every_layer_in_int8")
def test_its_layers_are_quantized_under_their_names(model):
    recipe = {"steps": [{"do": "quantize"}], "place": {"engine": "native", "threads": 1}}
    runner = wb.prepare(model, INPUTS, recipe)
    expected = model(INPUTS, training=False).detach()
    assert (runner(INPUTS) - expected).norm() < 0.05 * expected.norm()
    kernels = {row.layer: (row.compute_dtype, row.reality) for row in runner.receipt}
    assert kernels == {"features": ("int8", "real"), "head": ("int8", "real")}


def test_what_is_sent_to_the_worker_needs_no_keras_and_keeps_the_model_s_name(model):
    workload = wb.Workload(model, INPUTS)
    sent = pickle.loads(Parcels().pack(workload).pickled)
    assert isinstance(sent.model, torch.fx.GraphModule)
    assert sent.display_name == workload.display_name == "Sequential"
    assert torch.allclose(sent.model(INPUTS), model(INPUTS, training=False), atol=1e-6)
