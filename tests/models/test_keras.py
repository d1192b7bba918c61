"""Keras models become layers of torch that compute the same; what has no counterpart runs as it is."""

from __future__ import annotations

import os

import pytest
import torch

os.environ["KERAS_BACKEND"] = "torch"
keras = pytest.importorskip("keras", reason="needs the extra: pip install '.[keras]'")

from workbench.errors import WorkloadError  # noqa: E402
from workbench.models import load, loaders  # noqa: E402
from workbench.workload import Workload  # noqa: E402

layers = keras.layers
IMAGES, CLASSES = torch.rand(20, 12, 10, 3, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 4


def sequential():
    return keras.Sequential(
        [
            keras.Input((12, 10, 3)),
            layers.Conv2D(8, 3, padding="same", activation="relu", name="first"),
            layers.MaxPooling2D(),
            layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="second"),
            layers.BatchNormalization(),
            layers.ReLU(max_value=6),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(16, activation="gelu"),
            layers.BatchNormalization(scale=False),
            layers.Dense(4, activation="softmax", name="head"),
        ]
    )


def residual():
    """Branches, a depthwise convolution, uneven padding and a squeeze-and-excitation, as mobile networks have them."""
    inputs = keras.Input((12, 10, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="silu")(inputs)
    y = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=1)(x)
    y = layers.Activation("hard_silu")(layers.BatchNormalization()(y))
    weights = layers.Reshape((1, 1, 8))(layers.GlobalAveragePooling2D()(y))
    y = layers.Multiply()([y, layers.Conv2D(8, 1, activation="sigmoid")(weights)])
    x = layers.Concatenate()([layers.Add()([x, y]), x])
    x = layers.AveragePooling2D(2)(layers.ZeroPadding2D(1)(x))
    return keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))


def nested():
    inputs = keras.Input((12, 10, 3))
    features = keras.Sequential([keras.Input((12, 10, 3)), layers.Conv2D(4, 3, dilation_rate=2), layers.LeakyReLU()])
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(features(inputs))))


def normed():
    """Norms over the channels of images, with and without a gain and a shift, and over features."""
    parts = [layers.Conv2D(6, 3), layers.LayerNormalization(), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(8)]
    norm = layers.LayerNormalization(center=False, scale=False, epsilon=1e-2)
    return keras.Sequential([keras.Input((12, 10, 3)), *parts, norm, layers.Dense(4)])


MODELS = {"sequential": sequential, "residual": residual, "nested": nested, "normed": normed}


def trained(make):
    """With weights and statistics that no initializer gives."""
    keras.utils.set_random_seed(0)
    model = make()
    generator = torch.Generator().manual_seed(1)
    model.set_weights(
        [torch.rand(each.shape, generator=generator).numpy() * 0.4 + 0.05 for each in model.get_weights()]
    )
    return model


@pytest.mark.parametrize("form", ["a file", "in Python"])
@pytest.mark.parametrize("name", MODELS)
def test_a_model_becomes_layers_of_torch_that_compute_the_same(tmp_path, name, form):
    model = trained(MODELS[name])
    with torch.no_grad():
        expected = model(IMAGES[:4], training=False)
    given = model
    if form == "a file":
        given = tmp_path / "model.keras"
        model.save(given)
    loaded = load(Workload(given, (IMAGES, CLASSES)))
    assert isinstance(loaded.module, torch.fx.GraphModule)
    assert torch.allclose(loaded.module(IMAGES[:4]), expected, rtol=1e-4, atol=1e-5)


def test_layers_keep_their_names():
    module = load(Workload(trained(sequential), (IMAGES, CLASSES))).module
    kinds = {name: type(part) for name, part in module.named_children() if name in ("first", "second", "head")}
    assert kinds == {"first": torch.nn.Conv2d, "second": torch.nn.Conv2d, "head": torch.nn.Linear}


def test_a_layer_without_a_counterpart_leaves_the_model_as_it_is():
    model = keras.Sequential([keras.Input((12, 10, 3)), layers.Flatten(), layers.UnitNormalization(), layers.Dense(4)])
    loaded = load(Workload(model, (IMAGES, CLASSES)))
    assert isinstance(loaded.module, keras.Model)
    assert loaded.output_shape == (4,)


def test_a_file_with_code_in_it_is_refused(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: x * 2)])
    model.save(tmp_path / "model.keras")
    with pytest.raises(WorkloadError, match="holds a Lambda layer, whose code would run") as caught:
        loaders.find(tmp_path / "model.keras").read(tmp_path / "model.keras")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"words", b"PK\x03\x04 no archive"])
def test_a_file_that_is_none_of_keras_is_refused(tmp_path, content):
    (tmp_path / "model.keras").write_bytes(content)
    with pytest.raises(WorkloadError, match=r"is no \.keras file; store the model with model\.save"):
        loaders.find(tmp_path / "model.keras").read(tmp_path / "model.keras")


def test_without_the_package_the_line_says_what_to_install(tmp_path, monkeypatch):
    trained(sequential).save(tmp_path / "model.keras")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(WorkloadError, match=r"needs keras; pip install 'model-workbench\[keras\]'"):
        loaders.find(tmp_path / "model.keras").read(tmp_path / "model.keras")


def test_keras_on_another_backend_is_refused_in_one_line(tmp_path, monkeypatch):
    trained(sequential).save(tmp_path / "model.keras")
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")  # which needn't be installed here
    with pytest.raises(WorkloadError, match=r"^keras runs on jax in this process, and torch is needed; set KERAS_BACK"):
        loaders.find(tmp_path / "model.keras").read(tmp_path / "model.keras")
