"""What every loader must keep, also one that another package brings: ``--model`` gives a path that it reads."""

from __future__ import annotations

import copy
import re
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from workbench.errors import WorkloadError
from workbench.models import _digest, loaders
from workbench.models.loaders import FileLoader, Loader, Tokenizer

LOADERS = loaders.registered()
OF_FILES = [each for each in LOADERS if isinstance(each, FileLoader)]


def by_kind(loader: Loader) -> str:
    return type(loader).__name__


def readers(path: Path) -> list[str]:
    return [each.title for each in LOADERS if each.reads(path)]


@pytest.mark.parametrize("loader", LOADERS, ids=by_kind)
def test_a_loader_declares_what_others_need_to_know(loader: Loader):
    assert re.fullmatch(r"an? [^\n]+[^\n.]", loader.title)
    assert loader.title in loaders.in_words()
    assert all(isinstance(library, str) for library in loader.libraries)


def test_no_two_have_one_title():
    assert len({loader.title for loader in LOADERS}) == len(LOADERS)


@pytest.mark.parametrize("loader", LOADERS, ids=by_kind)
def test_a_loader_claims_nothing_that_is_not_of_its_format(loader: Loader, tmp_path: Path):
    assert not loader.reads(tmp_path)
    for name in ("nowhere", "data.npz", "module:factory", "fashion-cnn", ""):
        assert not loader.reads(Path(name))


@pytest.mark.parametrize("loader", OF_FILES, ids=by_kind)
def test_a_file_is_known_by_its_suffix_before_it_is_there(loader: FileLoader, tmp_path: Path):
    assert re.fullmatch(r"\.[a-z0-9.]+", loader.suffix)
    assert readers(tmp_path / f"m{loader.suffix}") == readers(tmp_path / f"M{loader.suffix.upper()}") == [loader.title]
    (tmp_path / f"folder{loader.suffix}").mkdir()
    assert not loader.reads(tmp_path / f"folder{loader.suffix}")


@pytest.mark.parametrize("content", [b"", b"\x00no model\xff" * 100], ids=["empty", "damaged"])
@pytest.mark.parametrize("loader", OF_FILES, ids=by_kind)
def test_what_can_not_be_read_is_said_in_one_line_with_its_path(loader: FileLoader, content: bytes, tmp_path: Path):
    path = tmp_path / f"m{loader.suffix}"
    path.write_bytes(content)
    with pytest.raises(WorkloadError) as told:
        loader.read(path)
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("loader", LOADERS, ids=by_kind)
def test_a_module_of_torch_s_is_adopted_as_it_is(loader: Loader):
    module = nn.Linear(2, 2)
    assert loader.adopted(module) is module


def test_a_stored_model_is_read_by_one_loader_alone(stored: Path):
    assert len(readers(stored)) == 1


def test_what_is_read_is_a_module_in_eval_mode_that_can_be_copied(stored: Path):
    module = loaders.find(stored).read(stored)
    assert isinstance(module, nn.Module)
    assert not any(part.training for part in module.modules())
    assert all(torch.isfinite(each).all() for each in module.parameters())
    assert _digest.weights(copy.deepcopy(module)) == _digest.weights(module)


def test_the_same_model_elsewhere_is_the_same(stored: Path, tmp_path: Path):
    there = tmp_path / f"other{stored.suffix}"
    (shutil.copytree if stored.is_dir() else shutil.copy)(stored, there)
    one, other = (loaders.find(path).read(path) for path in (stored, there))
    assert _digest.weights(one) == _digest.weights(other)
    assert _digest.architecture(one) == _digest.architecture(other)


def test_a_tokenizer_is_one_or_there_is_none(stored: Path):
    loader = loaders.find(stored)
    tokenizer = loader.tokenizer(stored, loader.read(stored))
    assert tokenizer is None or isinstance(tokenizer, Tokenizer)
