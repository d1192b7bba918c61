import copy

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from workbench.errors import WorkloadError
from workbench.models import load
from workbench.workload import Workload

FACTORY = "tests.models.conftest:two_layers"


def huge() -> nn.Module:
    """A layer of 4 TB, built in full nowhere but on the meta device."""
    return nn.Linear(2**20, 2**20)


def one_layer():
    return torch.nn.Sequential(torch.nn.Linear(4, 3))


def no_module() -> int:
    return 7


def test_a_module_is_taken_as_it_is(model, data):
    loaded = load(Workload(model, data))
    assert (loaded.module is model, loaded.name, loaded.output_shape) == (True, "TwoLayers", (5,))


def test_a_module_in_training_mode_stays_in_it(model, data):
    model.train()
    assert not load(Workload(model, data)).module.training
    assert model.training


def test_half_precision_weights_become_float32_and_that_is_said(model, data):
    loaded = load(Workload(model.bfloat16(), data))
    assert loaded.module.fc.weight.dtype == torch.float32
    assert "bfloat16 weights were converted to float32" in loaded.note
    assert model.fc.weight.dtype == torch.bfloat16


def test_other_weights_give_another_key(model, data):
    before = load(Workload(model, data)).key
    with torch.no_grad():
        model.fc.bias[0] += 1
    assert load(Workload(model, data)).key != before


def test_runs_are_kept_under_what_a_model_of_one_s_own_is_and_under_an_embedded_one_s_name(model, data):
    same, other_data = Workload(copy.deepcopy(model), data), (data[0][:15], data[1][:15])
    before = load(Workload(model, data)).id
    assert load(same).id == before
    assert load(Workload(model, other_data)).id != before
    assert load(Workload("fashion-mlp")).id == "fashion-mlp"
    own_data = torch.rand(10, 1, 28, 28), torch.arange(10)
    assert load(Workload("fashion-mlp", own_data)).id != "fashion-mlp"


def test_a_class_defined_anew_under_its_old_name_gives_another_key(data):
    def define(body: str) -> nn.Module:
        scope: dict = {"torch": torch, "nn": nn}
        exec(f"class Cell(nn.Module):\n def forward(self, x):\n  return {body}", scope)
        return scope["Cell"]().eval()

    one, other = (load(Workload(define(f"x.flatten(1)[:, :5] {sign} 1"), data)) for sign in "+-")
    assert one.key != other.key


class Returning(nn.Module):
    """Returns what it is told, for outputs that no classifier gives."""

    def __init__(self, answer) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, inputs):
        return self.answer(inputs)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: {"logits": "none"}, "returns (str|dict) for inputs of shape"),
        (lambda x: x, r"no metric fits outputs of shape \[2, 3, 4, 4\]"),
        (lambda x: x.sum(), r"returns torch.float32 of shape \[\]"),
        (lambda x: x.flatten(1).long(), "returns torch.int64"),
        (lambda x: x.no_such_method(), "no_such_method"),
    ],
)
def test_outputs_that_nothing_can_judge_are_named(data, answer, message):
    with pytest.raises(WorkloadError, match=message):
        load(Workload(Returning(answer).eval(), data))


def test_weights_with_nan_are_named(model, data):
    with torch.no_grad():
        model.fc.weight[0, 0] = torch.nan
    with pytest.raises(WorkloadError, match=r"the weights of 'fc.weight' are not all finite: 1 of 320"):
        load(Workload(model, data))


def test_a_model_without_weights_in_memory_is_refused(data):
    with pytest.raises(WorkloadError, match="meta device"):
        load(Workload(nn.Linear(4, 2, device="meta"), data))


def test_what_is_no_model_is_answered_with_what_could_be(data):
    with pytest.raises(WorkloadError, match="the model is of type int; it can be"):
        load(Workload(3, data))


def test_a_class_in_place_of_a_model_is_refused_with_what_to_give(data):
    with pytest.raises(
        WorkloadError, match=r"the model is the class Returning itself; give an instance: Returning\(…\)"
    ):
        load(Workload(Returning, data))


def test_a_message_of_several_lines_is_told_whole_in_one(data):
    def fail(x):
        raise ValueError("only grey images:\n  this one has 3 channels")

    with pytest.raises(WorkloadError, match=r"fails on inputs .*: only grey images: this one has 3 channels; give"):
        load(Workload(Returning(fail).eval(), data))


def test_a_factory_gets_its_weights_from_safetensors(model, data, tmp_path):
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    loaded = load(Workload(FACTORY, data, weights=str(tmp_path / "w.safetensors")))
    assert torch.equal(loaded.module.fc.weight, model.fc.weight)
    assert loaded.name == "two_layers"
    assert loaded.key == load(Workload(model, data)).key


def test_weights_are_refused_where_the_model_is_no_factory(model, data):
    for given in ("fashion-cnn", model, "model.pt2"):
        with pytest.raises(WorkloadError, match=r"'w.safetensors' are for a 'module:factory' model only and"):
            load(Workload(given, data, weights="w.safetensors"))


def test_a_factory_without_weights_gives_the_same_model_each_time(data):
    assert load(Workload(FACTORY, data)).key == load(Workload(FACTORY, data)).key


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:make", "the module 'no_such_module'.*can't be imported.*name that folder in PYTHONPATH"),
        ("tests.models.conftest:two_layer", "did you mean two_layers"),
        ("tests.models.test_own_models:no_module", r"returns int; it has to return a torch.nn.Module"),
        ("tests.models.test_own_models:huge", r"needs about [\d,]+ GB of memory"),
        ("json:dumps", r"json:dumps\(\) fails: TypeError"),
        ("weights.safetensors", "weights alone are read.*weights='weights.safetensors'"),
        ("model.pth", "weights alone are read.*weights='model.pth'"),
        ("model.pkl", "is a pickle, which can run any code"),
        ("folder/model.txt", "is no model and doesn't exist"),
        ("tests", r"is no model; give .* a \.pt2 file, .* or an \.onnx file, or 'module:factory'"),
        ("missing.pt2", "doesn't exist"),
    ],
)
def test_a_model_that_can_not_be_had_is_answered_in_one_line(data, name, message):
    with pytest.raises(WorkloadError, match=message) as caught:
        load(Workload(name, data))
    assert "\n" not in str(caught.value)


def test_a_pickle_in_place_of_safetensors_is_refused(model, data, tmp_path):
    torch.save(model.state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(WorkloadError, match="is a pickle, which can run any code"):
        load(Workload(FACTORY, data, weights=str(tmp_path / "w.safetensors")))


@pytest.mark.parametrize(
    "kept",
    [
        lambda state: state,
        lambda state: {"epoch": 3, "state_dict": state},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {"model": {f"net.model.{name}": tensor for name, tensor in state.items()}, "args": {"lr": 0.1}},
    ],
    ids=["a state dictionary", "in a checkpoint", "wrapped", "wrapped in a checkpoint"],
)
def test_a_factory_gets_its_weights_from_what_torch_save_wrote(model, data, tmp_path, kept):
    torch.save(kept(model.state_dict()), tmp_path / "w.pth")
    loaded = load(Workload(FACTORY, data, weights=str(tmp_path / "w.pth")))
    assert loaded.key == load(Workload(model, data)).key


def test_names_that_lack_what_the_model_s_begin_with_are_found(tmp_path):
    inner = torch.nn.Sequential(torch.nn.Linear(4, 3))
    save_file(inner[0].state_dict(), tmp_path / "w.safetensors")
    given = torch.rand(60, 4), torch.arange(60) % 3
    loaded = load(Workload(f"{__name__}:one_layer", given, weights=str(tmp_path / "w.safetensors")))
    assert torch.equal(loaded.module[0].weight, inner[0].weight)


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (lambda model: model, "holds what only running code from it would load; store its weights"),
        (lambda model: {"a": model.state_dict(), "b": model.state_dict()}, "holds 2 state dictionaries"),
        (lambda model: [1, 2], "holds no state dictionaries"),
    ],
    ids=["a model", "two", "none"],
)
def test_a_file_of_anything_but_one_state_dictionary_is_refused(model, data, tmp_path, kept, message):
    torch.save(kept(model), tmp_path / "w.pth")
    with pytest.raises(WorkloadError, match=message) as caught:
        load(Workload(FACTORY, data, weights=str(tmp_path / "w.pth")))
    assert "\n" not in str(caught.value)


def test_a_pth_that_is_none_or_not_there_is_refused(data, tmp_path):
    (tmp_path / "w.pth").write_bytes(b"words")
    with pytest.raises(WorkloadError, match="is no state dictionary"):
        load(Workload(FACTORY, data, weights=str(tmp_path / "w.pth")))
    with pytest.raises(WorkloadError, match=r"don't exist; give the path of a \.safetensors or \.pth file"):
        load(Workload(FACTORY, data, weights=str(tmp_path / "other.pth")))


def test_a_plain_pickle_is_known_by_its_first_bytes(data, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(WorkloadError, match="is a pickle"):
        load(Workload(FACTORY, data, weights=str(tmp_path / "w.safetensors")))


@pytest.mark.parametrize("content", [b"", b"short", b"\x05" + b"\0" * 7 + b"words", b"\xff" * 64])
def test_a_file_that_is_no_safetensors_is_refused(data, tmp_path, content):
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(WorkloadError, match="is not a complete safetensors file"):
        load(Workload(FACTORY, data, weights=str(tmp_path / "w.safetensors")))


def test_weights_cut_short_are_refused(model, data, tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(model.state_dict(), path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(WorkloadError, match="is not a complete safetensors file"):
        load(Workload(FACTORY, data, weights=str(path)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("fc.bias"), "lacks 'fc.bias'"),
        (lambda state: state.update(extra=torch.zeros(1)), "has 'extra', which the model lacks"),
        (lambda state: state.update({"fc.bias": torch.zeros(6)}), r"'fc.bias' is \[6\] there and \[5\] in the model"),
    ],
)
def test_weights_of_another_model_are_answered_with_the_difference(model, data, tmp_path, change, message):
    state = model.state_dict()
    change(state)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(WorkloadError, match=message):
        load(Workload(FACTORY, data, weights=str(tmp_path / "w.safetensors")))
