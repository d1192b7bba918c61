import re
import subprocess
import sys

import pytest
import torch

import workbench as wb
from workbench import models
from workbench.datasets import model_card
from workbench.errors import WorkloadError
from workbench.models import zoo
from workbench.workload import Workload

AIMS = {"fashion-mlp": 0.895, "fashion-cnn": 0.915, "fashion-resnet8": 0.93, "fashion-student": 0.88}
CHECKED = 2000


def test_listing_the_embedded_workloads_imports_no_torch():
    program = (
        "import sys; from workbench import models as m; m.embedded(), m.students(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_the_default_comes_first_and_every_architecture_is_there():
    assert next(iter(models.embedded())) == models.DEFAULT == "fashion-cnn"
    assert set(models.embedded()) == set(zoo.registered()) == set(models.students())


def test_the_smallest_student_comes_first():
    assert models.students()[0] == "fashion-student"


@pytest.mark.parametrize("name", zoo.registered())
def test_an_embedded_model_is_as_accurate_as_its_card_says(name: str):
    loaded = models.load(Workload(name))
    with torch.inference_mode():
        predicted = loaded.module(loaded.test.inputs[:CHECKED]).argmax(1)
    right = int((predicted == loaded.test.labels[:CHECKED]).sum())
    card = model_card(name).accuracy
    # The first 2,000 of 10,000 are a sample: 4 standard deviations of its mean, √(p(1-p)/n).
    slack = 4 * (card.value * (1 - card.value) / CHECKED) ** 0.5
    assert abs(right / CHECKED - card.value) <= slack


@pytest.mark.parametrize("name", zoo.registered())
def test_the_measured_accuracy_reaches_its_aim(name: str):
    card = model_card(name).accuracy
    assert card.value == card.correct / card.n >= AIMS[name]


@pytest.mark.parametrize("name", zoo.registered())
def test_a_card_counts_the_parameters(name: str):
    assert sum(each.numel() for each in models.build(name).parameters()) == model_card(name).parameters


def test_a_built_model_has_weights_of_its_own():
    torch.manual_seed(1)
    one, other = models.build("fashion-student"), models.build("fashion-student")
    assert not torch.equal(one.conv1.weight, other.conv1.weight)


def test_an_embedded_workload_is_ready_to_run():
    loaded = models.load(Workload("fashion-student"))
    assert (loaded.name, loaded.classes, loaded.note) == ("fashion-student", 10, "")
    assert loaded.test.inputs.shape == (10_000, 1, 28, 28)
    assert loaded.test.inputs.dtype == torch.float32
    assert (loaded.train.inputs.amin(), loaded.train.inputs.amax()) == (0.0, 1.0)
    assert not loaded.module.training


def test_equal_workloads_have_equal_keys_and_others_do_not():
    keys = [models.load(Workload(name)).key for name in ("fashion-student", "fashion-student", "fashion-cnn")]
    assert keys[0] == keys[1] != keys[2]


def test_an_embedded_model_takes_data_of_ones_own():
    inputs, labels = torch.rand(10, 1, 28, 28), torch.arange(10)
    loaded = models.load(Workload("fashion-student", (inputs, labels)))
    assert (len(loaded.test), len(loaded.train)) == (8, 2)


@pytest.mark.parametrize("use", [models.build, lambda name: models.load(Workload(name))])
def test_an_unknown_name_is_answered_with_the_nearest(use):
    with pytest.raises(WorkloadError, match=r"'fashion-cn' is not known; did you mean fashion-cnn"):
        use("fashion-cn")


@pytest.mark.parametrize("name", ["/folder/model.pt2", "model.onnx", "mine:make"])
def test_loading_a_model_of_ones_own_by_name_says_how_it_is_given(name):
    with pytest.raises(WorkloadError, match=re.escape(f"wb.Workload({name!r}, data=(inputs, labels))")):
        wb.load(name)
