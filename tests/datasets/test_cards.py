from pathlib import Path

import pytest

from workbench.datasets import DataCard, ModelCard, card_paths, cards
from workbench.datasets.cards import FOLDER, file_sha256

MEGABYTE = 10**6


@pytest.mark.parametrize("path", card_paths(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_card_tells_the_sha256_and_size_of_its_files(path: Path):
    for file in cards.read(path).files:
        stored = path.with_name(file.name)
        assert (file_sha256(stored), stored.stat().st_size) == (file.sha256, file.size_bytes)


def test_every_stored_file_has_a_card_or_is_one_or_a_licence():
    described = {path.with_name(file.name) for path in card_paths() for file in cards.read(path).files}
    stored = {path for folder in {path.parent for path in card_paths()} for path in folder.iterdir()}
    assert stored - described - set(card_paths()) == {FOLDER / "fashion-mnist" / "LICENSE"}


def test_the_whole_folder_is_at_most_26_megabytes():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= 26 * MEGABYTE


@pytest.mark.parametrize("path", card_paths(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_card_is_read_as_it_was_written(path: Path, tmp_path: Path):
    card = cards.read(path)
    assert isinstance(card, DataCard | ModelCard)
    card.write(tmp_path / "card.json")
    assert cards.read(tmp_path / "card.json") == card


def test_the_licence_of_the_data_is_beside_it():
    text = (FOLDER / "fashion-mnist" / "LICENSE").read_text(encoding="utf-8")
    assert "MIT License" in text
    assert "Zalando" in text
