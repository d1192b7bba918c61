import copy
import json
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from workbench import graph
from workbench.engines._judge import quantized_layers
from workbench.errors import WorkloadError
from workbench.models import build, load
from workbench.techniques import Context
from workbench.techniques.prune import Prune
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Workload


@pytest.fixture
def saved(model, tmp_path: Path) -> Path:
    path = tmp_path / "model.pt2"
    torch.export.save(graph.export(model, torch.rand(2, 3, 4, 4)), path)
    return path


def test_a_pt2_file_gives_the_model_back_with_its_names(model, data, saved: Path):
    loaded = load(Workload(str(saved), data))
    with torch.no_grad():
        assert torch.equal(loaded.module(data[0]), model(data[0]))
    assert loaded.module.state_dict().keys() == model.state_dict().keys()
    assert loaded.name == "model"


def test_layers_of_a_pt2_file_are_layers_again_and_can_be_copied(data, tmp_path: Path):
    module = build("fashion-resnet8").eval()
    torch.export.save(graph.export(module, torch.rand(2, 1, 28, 28)), tmp_path / "m.pt2")
    loaded = load(Workload(tmp_path / "m.pt2", (torch.rand(10, 1, 28, 28), torch.arange(10)))).module
    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
    layers = {name: str(part) for name, part in module.named_modules() if isinstance(part, kinds)}
    assert {name: str(part) for name, part in loaded.named_modules() if isinstance(part, kinds)} == layers
    inputs = torch.rand(3, 1, 28, 28)
    with torch.no_grad():
        assert torch.equal(copy.deepcopy(loaded)(inputs), module(inputs))


class Rows(nn.Module):
    """Linear layers over sequences, with and without biases, between a norm, a softmax and a pool."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(16, 8), nn.Linear(8, 8, bias=False)
        self.norm, self.conv, self.head = nn.LayerNorm(8), nn.Conv1d(8, 4, 3), nn.Linear(4, 5)

    def forward(self, images):
        rows = self.norm(torch.softmax(self.second(torch.relu(self.first(images.flatten(2)))), -1))
        return self.head(torch.relu(self.conv(rows.transpose(1, 2))).mean(2))


@pytest.mark.parametrize(
    ("module", "shape"), [(build("fashion-resnet8"), (1, 28, 28)), (Rows(), (3, 4, 4))], ids=["images", "rows"]
)
def test_a_decomposed_file_has_its_layers_again(module, shape, tmp_path: Path):
    inputs = torch.rand(10, *shape)
    program = graph.export(module.eval(), inputs).run_decompositions()
    torch.export.save(program, tmp_path / "m.pt2")
    loaded = load(Workload(tmp_path / "m.pt2", (inputs, torch.arange(10) % 5))).module
    kinds = (nn.Conv1d, nn.Conv2d, nn.BatchNorm2d, nn.Linear, nn.LayerNorm)
    layers = {name: str(part) for name, part in module.named_modules() if isinstance(part, kinds)}
    assert {name: str(part) for name, part in loaded.named_modules() if isinstance(part, kinds)} == layers
    with torch.no_grad():
        torch.testing.assert_close(loaded(inputs), module(inputs))  # sums in another order


def test_a_decomposed_file_is_quantized_and_pruned(model, data, tmp_path: Path):
    torch.export.save(graph.export(model, data[0]).run_decompositions(), tmp_path / "m.pt2")
    loaded = load(Workload(tmp_path / "m.pt2", data))
    context = Context(train=loaded.train)
    quantized = Quantize().apply(Variant(loaded.module), context)
    assert quantized_layers(quantized) == {"conv", "fc"}
    assert Prune(finetune_epochs=0).apply(Variant(loaded.module), context).module.conv.out_channels == 2


def test_settings_of_a_layer_survive_a_pt2_file(data, tmp_path: Path):
    torch.manual_seed(0)
    convolution = nn.Conv2d(3, 6, (3, 1), stride=(1, 2), padding=(2, 0), dilation=2, groups=3, bias=False)
    module = nn.Sequential(convolution, nn.Flatten(), nn.Linear(48, 8), nn.LayerNorm(8, eps=1e-3)).eval()
    torch.export.save(graph.export(module, data[0]), tmp_path / "m.pt2")
    loaded = load(Workload(tmp_path / "m.pt2", data)).module
    for name in ("0", "2", "3"):
        assert str(loaded.get_submodule(name)) == str(module.get_submodule(name))
    with torch.no_grad():
        assert torch.equal(loaded(data[0]), module(data[0]))


def test_a_call_of_a_pt2_file_pays_for_its_operations_alone(tmp_path: Path, monkeypatch):
    module = build("fashion-resnet8").eval()
    inputs = torch.rand(10, 1, 28, 28)
    torch.export.save(graph.export(module, inputs), tmp_path / "m.pt2")
    loaded = load(Workload(tmp_path / "m.pt2", (inputs, torch.arange(10)))).module
    assert not [node for node in loaded.graph.nodes if "guard" in str(node.target)]

    def refuse(*arguments, **options):
        raise AssertionError("a call pays for more than its operations")

    monkeypatch.setattr(loaded, "process_forward_inputs", refuse)
    monkeypatch.setattr(torch.fx.Interpreter, "run", refuse)
    with torch.no_grad():
        assert torch.equal(copy.deepcopy(loaded)(inputs), module(inputs))


class OfItsOwnSize(nn.Module):
    """Divides by the length of its inputs, which export takes for a constant."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs[:, :5] / inputs.shape[1]


def test_inputs_that_a_pt2_file_was_not_exported_for_are_refused_when_data_come(tmp_path: Path):
    torch.export.save(graph.export(OfItsOwnSize(), torch.rand(2, 6)), tmp_path / "m.pt2")
    assert load(Workload(tmp_path / "m.pt2", (torch.rand(10, 6), torch.arange(10) % 5)))
    with pytest.raises(WorkloadError, match=r"exported for inputs of shape \[N, 6\] and the data have \[8\] each"):
        load(Workload(tmp_path / "m.pt2", (torch.rand(10, 8), torch.arange(10) % 5)))


def test_a_model_from_a_pt2_file_can_be_exported_again_with_a_free_batch(data, saved: Path):
    program = graph.export(load(Workload(saved, data)).module, data[0])
    assert program.module()(data[0][:7]).shape == (7, 5)


def test_a_pt2_file_with_a_fixed_batch_is_refused_with_what_to_do(model, data, tmp_path: Path):
    torch.export.save(graph.export(model, torch.rand(2, 3, 4, 4), fixed_batch=True), tmp_path / "m.pt2")
    with pytest.raises(
        WorkloadError, match=r"takes exactly 2 example\(s\) at a time; export it again with dynamic_shapes"
    ):
        load(Workload(tmp_path / "m.pt2", data))


def test_a_file_that_is_no_archive_is_refused(data, tmp_path: Path):
    (tmp_path / "m.pt2").write_bytes(b"no archive")
    with pytest.raises(WorkloadError, match=r"is not a \.pt2 file: it is no zip archive"):
        load(Workload(tmp_path / "m.pt2", data))


def test_a_pickle_under_the_name_of_a_pt2_file_is_refused(model, data, tmp_path: Path):
    torch.save(model, tmp_path / "m.pt2")
    with pytest.raises(WorkloadError, match=r"is not a \.pt2 file of this kind"):
        load(Workload(tmp_path / "m.pt2", data))


def test_a_pt2_file_too_large_for_memory_is_refused_before_it_is_read(data, saved: Path, monkeypatch):
    monkeypatch.setattr("workbench.machine.memory.available_memory_bytes", lambda: 1000)
    monkeypatch.setattr(torch.export, "load", lambda path: pytest.fail("it was read"))
    with pytest.raises(WorkloadError, match=r"model\.pt2 needs about [\d.]+ kB of memory and 1 kB is free"):
        load(Workload(saved, data))


def _rewritten(source: Path, target: Path, change) -> Path:
    """A copy of an archive in which ``change(name, content)`` gives each entry's new content."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name.partition("/")[2], old.read(name)))
    return target


class Touch:
    """Unpickling it makes a file: the stand-in for code that a pickle would run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_pickle_inside_a_pt2_file_is_refused_and_not_run(data, saved: Path, tmp_path: Path):
    proof = tmp_path / "ran"

    def change(name: str, content: bytes) -> bytes:
        return pickle.dumps(Touch(proof)) if name.startswith("data/sample_inputs/") else content

    with pytest.raises(WorkloadError, match="a pickle of more than tensors, which could run code"):
        load(Workload(_rewritten(saved, tmp_path / "bad.pt2", change), data))
    assert not proof.exists()


def test_pickled_weights_in_a_pt2_file_are_refused(data, saved: Path, tmp_path: Path):
    def change(name: str, content: bytes) -> bytes:
        if not name.endswith("weights_config.json"):
            return content
        document = json.loads(content)
        next(iter(document["config"].values()))["use_pickle"] = True
        return json.dumps(document).encode()

    with pytest.raises(WorkloadError, match="holds pickled weights"):
        load(Workload(_rewritten(saved, tmp_path / "bad.pt2", change), data))


@pytest.mark.parametrize("code", ["__import__('os').getpid()", "().__class__", "open('x')"])
def test_code_for_a_shape_in_a_pt2_file_is_refused(data, saved: Path, tmp_path: Path, code: str):
    def change(name: str, content: bytes) -> bytes:
        if not name.startswith("models/"):
            return content
        text = content.decode()
        start = text.index('"expr_str": ') + len('"expr_str": ')
        _, end = json.JSONDecoder().raw_decode(text, start)
        return (text[:start] + json.dumps(code) + text[end:]).encode()

    with pytest.raises(WorkloadError, match="holds the shape expression"):
        load(Workload(_rewritten(saved, tmp_path / "bad.pt2", change), data))


@pytest.mark.parametrize("decomposed", [False, True])
@pytest.mark.parametrize("layer", [nn.BatchNorm2d(3), nn.Dropout(0.5)], ids=["batch norm", "dropout"])
def test_a_file_exported_in_training_mode_is_refused(layer, decomposed, data, tmp_path: Path):
    module = nn.Sequential(layer, nn.Flatten(), nn.Linear(48, 5)).train()
    program = torch.export.export(module, (torch.rand(2, 3, 4, 4),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    torch.export.save(program.run_decompositions() if decomposed else program, tmp_path / "m.pt2")
    with pytest.raises(WorkloadError, match=r"exported in training mode, its \w*(batch_norm|dropout)\w* says; .*eval"):
        load(Workload(tmp_path / "m.pt2", data))


def test_a_batch_norm_without_statistics_is_no_sign_of_training_mode(data, tmp_path: Path):
    module = nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False), nn.Flatten(), nn.Linear(48, 5)).eval()
    torch.export.save(graph.export(module, torch.rand(2, 3, 4, 4)), tmp_path / "m.pt2")
    assert load(Workload(tmp_path / "m.pt2", data)).output_shape == (5,)
