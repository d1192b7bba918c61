import re
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
import torch
from torch.nn import functional
from torchmetrics.functional.classification import binary_auroc

import workbench as wb
from workbench import models
from workbench.datasets import data_card, model_card
from workbench.errors import WorkloadError
from workbench.models import zoo
from workbench.models.train import classes_of, metric_of, outputs_of
from workbench.plumbing.directory import data_directory
from workbench.workload import Workload

AIMS = {
    "fashion-mlp": 0.895,
    "fashion-cnn": 0.915,
    "fashion-resnet8": 0.93,
    "fashion-student": 0.88,
    "fashion-gru": 0.88,
    "co2-forecast": 0.5,
    "fashion-scenes": 0.7,
    "fashion-anomaly": 0.97,
    "tinytext-lm": 4,
    "cifar-resnet20": 0.91,
    "fashion-mobilenet": 0.92,
}
HERE = [name for name in zoo.registered() if name in models.embedded()]
"""Those whose data are here: CIFAR-10 is only where somebody fetched it, who then tests the model too."""
USERS_OWN = data_directory()


@pytest.fixture(autouse=True)
def _where_it_was_fetched(request, monkeypatch):
    """Tests have a data directory of their own, but what is fetched lies in the user's."""
    name = getattr(request.node, "callspec", None) and request.node.callspec.params.get("name")
    if name in zoo.registered() and zoo.registered()[name].needs:
        monkeypatch.setenv("WORKBENCH_DATA", str(USERS_OWN))


HIGHER_IS_BETTER = {"accuracy", "mean-iou", "auroc"}


def mean_iou(outputs: torch.Tensor, targets: torch.Tensor) -> float:
    pairs = torch.bincount((targets * outputs.shape[1] + outputs.argmax(1)).flatten(), minlength=outputs.shape[1] ** 2)
    both = pairs.view(outputs.shape[1], -1).double()
    return float((both.diag() / (both.sum(0) + both.sum(1) - both.diag())).mean())


def perplexity(outputs: torch.Tensor, targets: torch.Tensor) -> float:
    return float(functional.cross_entropy(outputs.flatten(0, 1), targets.flatten()).exp())


REFERENCE = {
    "accuracy": lambda outputs, targets: float((outputs.argmax(1) == targets).double().mean()),
    "mae": lambda outputs, targets: float((outputs[:, 0] - targets).abs().mean()),
    "mean-iou": mean_iou,
    "auroc": lambda outputs, targets: float(binary_auroc(outputs[:, 0], targets)),
    "perplexity": perplexity,
}
"""Each metric, as textbooks have it."""


def figure(name: str, outputs: torch.Tensor, targets: torch.Tensor) -> float:
    return REFERENCE[model_card(name).quality.metric](outputs, targets)


@cache
def examples(name: str):
    return zoo.registered()[name].source.read()


def test_listing_the_embedded_workloads_imports_no_torch():
    program = (
        "import sys; from workbench import models as m; m.embedded(), m.students(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_the_default_comes_first_and_every_architecture_is_there():
    assert next(iter(models.embedded())) == models.DEFAULT == "fashion-cnn"
    assert set(models.embedded()) | set(models.not_yet()) >= set(zoo.registered()) == set(AIMS)


def test_a_workload_whose_data_have_to_be_fetched_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    assert "cifar-resnet20" not in models.embedded()
    words = "cifar-resnet20 is without its data, cifar-10, not fetched yet: workbench fetch cifar-10"
    for use in (lambda: wb.load("cifar-resnet20"), lambda: models.load(Workload("cifar-resnet20"))):
        with pytest.raises(WorkloadError, match=f"^{words}$"):
            use()


def test_the_smallest_student_comes_first():
    assert models.students()[0] == "fashion-student"


@pytest.mark.parametrize(
    ("name", "figure"),
    [
        ("fashion-cnn", r"accuracy 92\.5 % on Fashion-MNIST"),
        ("co2-forecast", r"mean absolute error 0\.\d+ ppm on CO₂ at Mauna Loa"),
        ("tinytext-lm", r"perplexity \d\.\d+ on two novels by Jane Austen"),
    ],
)
def test_the_line_on_a_workload_tells_its_figure_with_its_unit(name: str, figure: str):
    assert re.search(rf"; [\d,]+ parameters, {figure}$", models.embedded()[name])


@pytest.mark.parametrize("name", HERE)
def test_an_embedded_model_is_as_good_as_its_card_says(name: str):
    loaded = models.load(Workload(name))
    measured = figure(name, outputs_of(loaded.module, loaded.test), loaded.test.targets)
    # Sums in another order differ by 1e-6 of a score: few of thousands of answers stand that close to another.
    assert measured == pytest.approx(model_card(name).quality.value, rel=1e-3)


@pytest.mark.parametrize("name", HERE)
def test_the_figure_is_of_the_whole_test_set_and_reaches_its_aim(name: str):
    quality = model_card(name).quality
    assert quality.n == len(examples(name)[0])
    assert quality.value >= AIMS[name] if quality.metric in HIGHER_IS_BETTER else quality.value <= AIMS[name]


@pytest.mark.parametrize("name", [name for name, each in zoo.registered().items() if each.naive])
def test_a_model_is_better_than_what_needs_none(name: str):
    quality, (test, train) = model_card(name).quality, examples(name)
    answers = zoo.registered()[name].naive(test, train)
    found = {words: figure(name, outputs, test.targets) for words, outputs in answers.items()}
    assert found == pytest.approx(quality.naive, rel=1e-3)
    for naive in found.values():
        assert quality.value > naive if quality.metric in HIGHER_IS_BETTER else quality.value < naive


@pytest.mark.parametrize(
    ("name", "classes"), [("tinytext-lm", 256), ("fashion-scenes", 6), ("fashion-gru", 10), ("fashion-anomaly", None)]
)
def test_a_card_counts_the_classes_where_answers_are_classes(name: str, classes: int | None):
    embedded = zoo.registered()[name]
    metric, outputs = metric_of(embedded), outputs_of(models.build(name).eval(), examples(name)[0].at(slice(2)))
    assert model_card(name).classes == classes_of(metric, outputs) == classes


def test_workloads_on_other_data_have_other_digests():
    digests = {name: each.source.digest() for name, each in zoo.registered().items()}
    of_fashion_mnist = {"fashion-cnn", "fashion-mlp", "fashion-resnet8", "fashion-student", "fashion-mobilenet"}
    assert len({digests[name] for name in of_fashion_mnist}) == 1
    assert len(set(digests.values())) == 1 + len(digests.keys() - of_fashion_mnist)


def test_an_embedded_workload_is_ready_to_run():
    loaded = models.load(Workload("fashion-student"))
    (tested,), (learned,) = loaded.test.inputs, loaded.train.inputs
    assert (loaded.name, tested.shape, tested.dtype) == ("fashion-student", (10_000, 1, 28, 28), torch.float32)
    assert (learned.amin(), learned.amax()) == (0.0, 1.0)


def test_equal_workloads_have_equal_keys_and_others_do_not():
    keys = [models.load(Workload(name)).key for name in ("fashion-student", "fashion-student", "fashion-cnn")]
    assert keys[0] == keys[1] != keys[2]


def test_an_embedded_model_takes_data_of_ones_own():
    inputs, labels = torch.rand(10, 1, 28, 28), torch.arange(10)
    loaded = models.load(Workload("fashion-student", (inputs, labels)))
    assert (len(loaded.test), len(loaded.train)) == (8, 2)


def test_a_forecast_is_of_a_week_later_than_all_that_was_learnt_from():
    test, train = examples("co2-forecast")
    assert (len(test), len(train)) == (626, 1416)
    (weeks,) = test.inputs
    assert torch.equal(weeks[:, -1], torch.zeros(len(test)))  # changes are told from the last week seen
    assert float(test.targets.abs().max()) < 10  # ppm: a season moves it by less


def test_the_model_of_anomalies_learns_from_what_is_normal_alone():
    test, train = examples("fashion-anomaly")
    assert train.targets.sum() == 0
    assert torch.bincount(test.targets).tolist() == [583, 1417]


def test_the_byte_to_come_is_the_next_one_of_the_text():
    for data in examples("tinytext-lm"):
        (text,) = data.inputs
        assert torch.equal(text[:, 1:], data.targets[:, :-1])


def test_a_run_learns_from_a_part_of_what_the_language_model_learnt_from_and_of_nothing_held_out():
    embedded = zoo.registered()["tinytext-lm"]
    (whole,), (test, part) = embedded.plan.examples(embedded.source, None)[0].inputs, examples("tinytext-lm")
    learnt, again, held_out = (
        {bytes(row) for row in windows.tolist()} for windows in (whole, *part.inputs, *test.inputs)
    )
    assert again < learnt
    assert held_out.isdisjoint(learnt)


@torch.inference_mode()
def test_the_language_model_sees_no_byte_that_is_still_to_come():
    module = models.build("tinytext-lm").eval()
    text = torch.randint(256, (1, 128), generator=torch.Generator().manual_seed(0))
    other = text.clone()
    other[:, 64:] = 32
    assert torch.allclose(module(text)[:, :64], module(other)[:, :64], atol=1e-6)
    assert not torch.allclose(module(text)[:, 64:], module(other)[:, 64:], atol=1e-3)


def test_pixels_of_a_scene_belong_to_every_class():
    test, train = examples("fashion-scenes")
    for data in (test, train):
        assert torch.bincount(data.targets.flatten()).count_nonzero() == len(data_card("fashion-scenes").classes)
    assert np.isclose(float((test.targets == 0).float().mean()), float((train.targets == 0).float().mean()), atol=0.02)


@pytest.mark.parametrize("use", [models.build, lambda name: models.load(Workload(name))])
def test_an_unknown_name_is_answered_with_the_nearest(use):
    with pytest.raises(WorkloadError, match=r"'fashion-cn' is not known; did you mean fashion-cnn"):
        use("fashion-cn")


@pytest.mark.parametrize("name", ["/folder/model.pt2", "model.onnx", "mine:make"])
def test_loading_a_model_of_ones_own_by_name_says_how_it_is_given(name):
    with pytest.raises(WorkloadError, match=re.escape(f"wb.Workload({name!r}, data=(inputs, targets))")):
        wb.load(name)
