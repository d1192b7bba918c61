import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from workbench.datasets import cards, fashion_mnist
from workbench.datasets.cards import file_sha256
from workbench.models import build, train, zoo
from workbench.models.zoo._augmented import augment
from workbench.models.zoo._fashion_mnist import FashionPlan

ON_EMBEDDED_DATA = [
    name for name, each in zoo.registered().items() if not each.needs and not isinstance(each.plan, FashionPlan)
]


@pytest.fixture
def few_examples(monkeypatch: pytest.MonkeyPatch):
    """500 embedded images in place of the 60,000, which a test has no way to get."""
    images, labels = fashion_mnist.train()
    monkeypatch.setattr(fashion_mnist, "full", lambda source=None: (images[:500], labels[:500]))


@pytest.fixture(autouse=True)
def threads_as_before():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_training_lowers_the_loss_and_writes_weights_and_a_card(few_examples, tmp_path: Path):
    arguments = ["fashion-student", "--epochs", "2", "--out", str(tmp_path), "--seed", "3"]
    assert train.main(arguments) == 0
    card = cards.read(tmp_path / "fashion-student.json")
    first, last = card.training.epoch_losses
    assert last < first
    assert (card.training.seed, card.training.examples, card.quality.n) == (3, 500, 10_000)
    assert card.files[0].sha256 == file_sha256(tmp_path / "fashion-student.safetensors")
    build("fashion-student").load_state_dict(load_file(tmp_path / "fashion-student.safetensors"))


@pytest.mark.parametrize("name", ON_EMBEDDED_DATA)
def test_training_again_gives_the_same_weights_which_fit_better_than_random_ones(name: str):
    torch.set_num_threads(1)
    embedded = zoo.registered()[name]
    examples, _ = embedded.plan.examples(embedded.source, None)
    examples = examples.at(slice(8 * embedded.plan.batch))
    once, again, untrained = (
        train.fit(embedded, examples, replace(embedded.plan, epochs=1, peak_learning_rate=rate), seed=1, report=str)
        for rate in (embedded.plan.peak_learning_rate, embedded.plan.peak_learning_rate, 1e-9)
    )
    for weight, other in zip(once.module.state_dict().values(), again.module.state_dict().values(), strict=True):
        assert torch.equal(weight, other)
    assert once.losses < untrained.losses


def test_a_card_says_where_only_a_part_was_learnt_from(tmp_path: Path):
    assert train.main(["co2-forecast", "--epochs", "1", "--limit", "128", "--out", str(tmp_path)]) == 0
    card = cards.read(tmp_path / "co2-forecast.json")
    assert (card.training.data, card.training.examples) == ("CO₂ at Mauna Loa, in part", 128)
    assert (card.quality.metric, card.quality.unit, card.classes) == ("mae", "ppm", None)


def test_an_unknown_model_ends_with_one_line(capsys: pytest.CaptureFixture[str]):
    assert train.main(["fashion-cn"]) == 2
    assert capsys.readouterr().err.startswith("model 'fashion-cn' is not known; did you mean fashion-cnn")


def test_a_model_without_a_plan_ends_with_one_line(monkeypatch, capsys: pytest.CaptureFixture[str]):
    student = replace(zoo.registered()["fashion-student"], plan=None)
    monkeypatch.setitem(zoo.registered(), "fashion-student", student)
    assert train.main(["fashion-student"]) == 2
    assert capsys.readouterr().err.startswith("fashion-student has no plan")


def test_a_folder_without_the_originals_ends_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert train.main(["fashion-cnn", "--data", str(tmp_path)]) == 2
    assert "has no train-images-idx3-ubyte.gz" in capsys.readouterr().err


def test_augmented_images_are_the_image_shifted_or_mirrored():
    torch.manual_seed(0)
    pixels = torch.zeros(64, 3, 28, 28, dtype=torch.uint8)
    pixels[:, :, 10, 5] = torch.tensor([255, 51, 0])
    batch = augment(pixels, shift=1)
    assert batch.shape == (64, 3, 28, 28)
    assert torch.equal(batch.sum((2, 3)), torch.tensor([1, 0.2, 0]).repeat(64, 1))
    rows, columns = batch[:, 0].flatten(1).argmax(1) // 28, batch[:, 0].flatten(1).argmax(1) % 28
    assert set(rows.tolist()) == {9, 10, 11}
    assert set(columns.tolist()) == {4, 5, 6, 21, 22, 23}


def test_the_embedded_cards_hold_the_plan_the_script_has_now():
    for name, embedded in zoo.registered().items():
        card = cards.model_card(name)
        assert card.training.plan == json.loads(json.dumps(embedded.plan.__dict__)), name
