import numpy as np
import psutil
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

from workbench.errors import WorkloadError
from workbench.models import load
from workbench.workload import Workload


class Pairs(Dataset):
    """A map-style data set of (array, int), as many are."""

    def __init__(self, inputs: torch.Tensor, labels: torch.Tensor) -> None:
        self.inputs, self.labels = inputs, labels

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.inputs[index].numpy(), int(self.labels[index])


FORMS = {
    "tensors": lambda inputs, labels: (inputs, labels),
    "arrays": lambda inputs, labels: (inputs.numpy(), labels.numpy()),
    "double arrays and int8 labels": lambda inputs, labels: (
        inputs.numpy().astype(float),
        labels.numpy().astype("int8"),
    ),
    "a list of tensors": lambda inputs, labels: [inputs, labels],
    "one-hot labels": lambda inputs, labels: (inputs, torch.nn.functional.one_hot(labels)),
    "a column of whole float labels": lambda inputs, labels: (inputs, labels.float().unsqueeze(1)),
    "a TensorDataset": TensorDataset,
    "a Dataset of arrays": Pairs,
    "a DataLoader": lambda inputs, labels: DataLoader(TensorDataset(inputs, labels), batch_size=7),
    "a list of pairs": lambda inputs, labels: list(zip(inputs, labels, strict=True)),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_data_gives_the_same_examples(model, data, form):
    loaded = load(Workload(model, FORMS[form](*data)))
    plain = load(Workload(model, data))
    assert torch.allclose(loaded.test.inputs[0], plain.test.inputs[0], atol=0)
    assert torch.equal(loaded.test.targets, plain.test.targets)
    assert loaded.key == plain.key


def test_every_fifth_example_is_set_aside_and_that_is_said(model, data):
    loaded = load(Workload(model, data))
    assert torch.equal(loaded.train.inputs[0], data[0][4::5])
    assert len(loaded.test) == 16
    assert "every fifth example (4 of 20) is set aside" in loaded.note


def test_given_training_data_leaves_all_examples_for_quality(model, data):
    loaded = load(Workload(model, data, train=(data[0][:3], data[1][:3])))
    assert (len(loaded.test), len(loaded.train), loaded.note) == (20, 3, "")


def test_uint8_images_become_fractions_and_that_is_said(model, data):
    images = (data[0] * 255).to(torch.uint8)
    loaded = load(Workload(model, (images, data[1]), train=(images, data[1])))
    assert torch.equal(loaded.test.inputs[0], images.float() / 255)
    assert loaded.note == "uint8 images were divided by 255"


def test_a_shuffling_loader_gives_the_same_key_each_time(model, data):
    loader = DataLoader(TensorDataset(*data), batch_size=4, shuffle=True)
    assert load(Workload(model, loader)).key == load(Workload(model, loader)).key


def _with(tensor: torch.Tensor, index, value) -> torch.Tensor:
    changed = tensor.clone()
    changed[index] = value
    return changed


BAD = {
    "no data": (lambda x, y: None, "a model of your own needs data"),
    "a key that forward doesn't take": (lambda x, y: {"x": x, "labels": y}, "doesn't take 'x': .* one of inputs"),
    "targets alone": (lambda x, y: {"labels": y}, "data holds 'labels' and no inputs"),
    "examples of three": (lambda x, y: x.numpy().tolist(), r"a list of 3; give \(inputs, targets\)"),
    "NaN": (
        lambda x, y: (_with(x, (6, 0, 0, 0), torch.nan), y),
        "NaN or infinity in 1 of 20 examples, first at index 6",
    ),
    "infinity": (lambda x, y: (_with(x, (3, 0, 0, 0), torch.inf), y), "first at index 3"),
    "other lengths": (lambda x, y: (x, y[:-1]), "20 inputs and 19 targets"),
    "nothing": (lambda x, y: (x[:0], y[:0]), "data is empty"),
    "an empty data set": (lambda x, y: TensorDataset(x[:0], y[:0]), "data is empty"),
    "an empty list": (lambda x, y: [], "data is empty"),
    "too few": (lambda x, y: (x[:4], y[:4]), "4 examples are too few"),
    "too few by one": (lambda x, y: (x[:1], y[:1]), "1 example is too few"),
    "a label too large": (lambda x, y: (x, _with(y, 7, 5)), "target 5 at index 6 is outside 0…4"),
    "a negative label": (lambda x, y: (x, _with(y, 0, -1)), "target -1 at index 0"),
    "a fractional label": (
        lambda x, y: (x, _with(y.float(), 2, 0.5)),
        "target 0.5 at index 2 of data is no class number, and the model gives 5 scores",
    ),
    "a wrong shape": (lambda x, y: (x[:, :2], y), r"fails on inputs of shape \[2, 2, 4, 4\]: .*channels"),
    "flat inputs": (lambda x, y: (x[:, 0, 0, 0], y), r"fails on inputs of shape \[2\]"),
    "words": (lambda x, y: (np.array(["cat"] * 20), y), "holds text and the model brings no tokenizer"),
    "mixed shapes": (lambda x, y: [(x[0], 0), (x[0, :2], 0)], "mixes shapes"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_is_answered_in_one_line_with_the_value(model, data, case):
    make, message = BAD[case]
    with pytest.raises(WorkloadError, match=message) as caught:
        load(Workload(model, make(*data)))
    assert "\n" not in str(caught.value)


def test_data_too_large_for_memory_is_refused_before_it_is_read(model):
    class Endless(Dataset):
        def __len__(self) -> int:
            return psutil.virtual_memory().total

        def __getitem__(self, index: int):
            assert index == 0, "more than the first example was read"
            return torch.zeros(3, 4, 4), 0

    with pytest.raises(WorkloadError, match=r"needs about [\d,]+ GB of memory and .* is free"):
        load(Workload(model, Endless()))


def test_a_file_of_one_array_is_refused_with_how_to_store_both(model, tmp_path):
    np.save(tmp_path / "data.npy", np.zeros((5, 3)))
    with pytest.raises(WorkloadError, match=r"data.npy holds one array; store data with numpy.savez"):
        load(Workload(model, tmp_path / "data.npy"))


def _truncated(path) -> None:
    np.savez(path, inputs=np.zeros((5, 3)), labels=np.zeros(5))
    path.write_bytes(path.read_bytes()[:200])


@pytest.mark.parametrize(
    "fill",
    [
        lambda path: path.write_text("no arrays"),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PK\x03\x04 no archive"),
        lambda path: np.savez(path, inputs=np.array([{}], dtype=object), labels=np.zeros(1)),
        _truncated,
    ],
    ids=["text", "empty", "no archive", "objects", "truncated"],
)
def test_a_file_that_is_no_npz_is_refused_in_our_own_words(model, tmp_path, fill):
    fill(tmp_path / "data.npz")
    with pytest.raises(WorkloadError, match=r"data\.npz holds no arrays of numbers, or is damaged; store") as caught:
        load(Workload(model, tmp_path / "data.npz"))
    assert "pickle" not in str(caught.value)


def test_an_npz_with_names_that_forward_does_not_take_is_refused_with_those_it_takes(model, tmp_path):
    np.savez(tmp_path / "data.npz", x=np.zeros((5, 3)), labels=np.zeros(5))
    with pytest.raises(WorkloadError, match=r"forward of TwoLayers doesn't take 'x': .* one of inputs"):
        load(Workload(model, tmp_path / "data.npz"))
