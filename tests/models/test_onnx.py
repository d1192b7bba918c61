import copy
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from workbench import graph
from workbench.errors import WorkloadError
from workbench.models import build, load
from workbench.workload import Workload

onnx = pytest.importorskip("onnx")
from tests.models.test_onnx_operators import model_of  # noqa: E402

# Two libraries order float32 sums of up to 1,568 terms differently: √1568 roundings of 6e-8, values of about 10.
TOLERANCE = {"rtol": 0, "atol": 40 * 6e-8 * 10}


class Attention(nn.Module):
    """A transformer of one layer over the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(28, 16)
        self.position = nn.Parameter(torch.randn(1, 28, 16))
        self.encoder = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, activation="gelu")
        self.head = nn.Linear(16, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(self.embed(images.squeeze(1)) + self.position).mean(1))


class Rows(nn.Module):
    """A recurrent network over the rows of an enlarged image."""

    def __init__(self) -> None:
        super().__init__()
        self.enlarge = nn.Upsample(scale_factor=1.5, mode="bilinear")
        self.rows = nn.LSTM(42, 8, bidirectional=True, batch_first=True)
        self.head = nn.Linear(16, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.rows(self.enlarge(images).squeeze(1))[0][:, -1])


def export(module: nn.Module, path: Path, *, dynamo: bool, free: bool = True) -> Path:
    options = {"dynamo": dynamo, "external_data": False, "verbose": False}
    if free:
        options |= {"dynamic_shapes": ({0: torch.export.Dim.DYNAMIC},)} if dynamo else {
            "input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}
        }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), (torch.rand(2, 1, 28, 28),), path, **options)
    return path


@pytest.fixture
def images() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(10, 1, 28, 28, generator=torch.Generator().manual_seed(0)), torch.arange(10)


@pytest.mark.parametrize(
    ("make", "dynamo"),
    [(lambda: build("fashion-resnet8"), False), (Attention, False), (Attention, True), (Rows, False), (Rows, True)],
    ids=[
        "residual, old exporter",
        "transformer, old exporter",
        "transformer, new exporter",
        "recurrent, old exporter",
        "recurrent, new exporter",
    ],
)
def test_an_exported_model_comes_back_computing_the_same(images, tmp_path: Path, make, dynamo: bool):
    torch.manual_seed(0)
    module = make()
    loaded = load(Workload(export(module, tmp_path / "m.onnx", dynamo=dynamo), images))
    with torch.no_grad():
        torch.testing.assert_close(loaded.module(images[0]), module(images[0]), **TOLERANCE)
    assert graph.export(loaded.module, images[0]).module()(images[0][:7]).shape == (7, 10)


@pytest.mark.parametrize("dynamo", [False, True])
def test_a_recurrent_layer_is_torchs_own_and_can_be_copied(images, tmp_path: Path, dynamo: bool):
    module = Rows()
    loaded = load(Workload(export(module, tmp_path / "m.onnx", dynamo=dynamo), images)).module
    (layer,) = (part for part in loaded.modules() if isinstance(part, nn.LSTM))
    assert torch.equal(layer.weight_hh_l0_reverse, module.rows.weight_hh_l0_reverse)
    with torch.no_grad():
        assert torch.equal(copy.deepcopy(loaded)(images[0]), loaded(images[0]))


@pytest.mark.parametrize("name", ["fashion-cnn", "fashion-mlp"])
def test_layers_and_parameters_keep_their_names_and_values(images, tmp_path: Path, name: str):
    module = build(name)
    loaded = load(Workload(export(module, tmp_path / "m.onnx", dynamo=False), images)).module
    kinds = {key: type(part) for key, part in module.named_modules() if isinstance(part, (nn.Conv2d, nn.Linear))}
    assert {key: type(loaded.get_submodule(key)) for key in kinds} == kinds
    state = loaded.state_dict()
    assert all(torch.equal(state[key], value) for key, value in module.state_dict().items())


def test_a_batch_fixed_in_the_file_is_freed_where_it_can_be(images, tmp_path: Path):
    path = export(build("fashion-cnn"), tmp_path / "m.onnx", dynamo=False, free=False)
    assert len(load(Workload(path, images)).test) == 8


def test_a_batch_that_can_not_be_freed_is_refused_with_what_to_do(images, tmp_path: Path):
    path = export(Attention(), tmp_path / "m.onnx", dynamo=False, free=False)
    with pytest.raises(WorkloadError, match="works for batches of 2 alone; export it again with a free batch"):
        load(Workload(path, images))


INPUTS = np.zeros((2, 4), np.float32)


def saved(path: Path, *nodes, constants=(), outputs=("y",)) -> Path:
    model = model_of(nodes, dict(constants), INPUTS, outputs=outputs)
    for entry in model.graph.output:
        entry.CopyFrom(onnx.helper.make_tensor_value_info(entry.name, onnx.TensorProto.FLOAT, ["n", 4]))
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b"no protobuf at all"), "is not an ONNX file"),
        (lambda path: path.write_bytes(b""), "it holds no graph"),
        (lambda path: saved(path, onnx.helper.make_node("Relu", ["z"], ["y"])), "is not a valid ONNX model"),
        (
            lambda path: saved(
                path,
                onnx.helper.make_node("RandomNormalLike", ["x"], ["y"], name="noise"),
            ),
            r"uses the operator 'RandomNormalLike' \(node 'noise'\), which isn't imported",
        ),
    ],
    ids=["no protobuf", "nothing", "invalid", "unknown operator"],
)
def test_a_file_that_can_not_be_imported_is_answered_in_one_line(images, tmp_path: Path, make, message: str):
    make(tmp_path / "m.onnx")
    with pytest.raises(WorkloadError, match=message) as caught:
        load(Workload(tmp_path / "m.onnx", images))
    assert "\n" not in str(caught.value)


def test_a_model_too_large_for_memory_is_refused_before_its_weights_are_read(images, tmp_path: Path):
    tensor = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [1], [0.0])
    del tensor.float_data[:]
    tensor.dims[:] = [2**20, 2**20]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    model = model_of([onnx.helper.make_node("MatMul", ["x", "w"], ["y"])], {}, INPUTS)
    model.graph.initializer.append(tensor)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(WorkloadError, match=r"needs about [\d,]+ GB of memory"):
        load(Workload(tmp_path / "m.onnx", images))


def test_weights_in_a_missing_side_file_are_named(images, tmp_path: Path):
    path = export(build("fashion-student"), tmp_path / "m.onnx", dynamo=False)
    model = onnx.load(path)
    onnx.save_model(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(WorkloadError, match=r"is not a valid ONNX model: .*weights\.bin"):
        load(Workload(path, images))
