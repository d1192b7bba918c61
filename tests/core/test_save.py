from __future__ import annotations

import dataclasses
import pickle
import runpy
import shutil
import subprocess
import sys
import zipfile
from ast import literal_eval
from pathlib import Path

import pytest
import torch

import workbench as wb
from workbench import kernels, models
from workbench.core.placing import completions
from workbench.core.runs import Core
from workbench.core.saving import TakeAway, require_room
from workbench.core.shelf import Shelf
from workbench.errors import WorkbenchError
from workbench.recipe import Recipe
from workbench.techniques import Context
from workbench.workload import Workload

BESIDE_THE_MODELS = {"recipe.json", "receipt.json", "report.html", "inputs.npz", "run.py"}


def taken(workload: Workload, recipe: Recipe) -> TakeAway:
    loaded, complete = models.load(workload), completions(recipe)[0]
    context = Context(loaded.train, loaded.task.loss)
    return TakeAway(loaded, complete, Shelf(0).prepared(loaded, complete, context))


def small() -> Workload:
    model = torch.nn.Sequential(torch.nn.Linear(4, 3))
    return Workload(model, data=(torch.rand(60, 4), torch.arange(60) % 3))


EAGER = Recipe.parse(place={"engine": "eager", "threads": 1})


@pytest.fixture
def ran(monkeypatch, capsys, tmp_path):
    """What ``run.py`` prints, by file."""

    def ran(folder: Path) -> dict[str, str]:
        monkeypatch.chdir(tmp_path)
        runpy.run_path(str(folder / "run.py"))
        return answers(capsys.readouterr().out)

    return ran


def answers(printed: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in printed.splitlines())


def test_an_archive_unpacked_anywhere_has_every_model_give_the_same_answers(tmp_path):
    recipe = Recipe.parse(steps=[{"do": "quantize"}], place={"threads": 1})
    archive = tmp_path / "made" / "faster.zip"
    core = Core(outbox=None)
    core.keep_workload(1, pickle.dumps(wb.load("fashion-student")), [1])
    assert core.questions().save(1, recipe, None, archive) == [archive]
    assert list(archive.parent.iterdir()) == [archive]
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tmp_path / "unpacked")
    names = {path.name for path in (tmp_path / "unpacked").iterdir()}
    native = {"native.safetensors"} if kernels.unavailable() is None else set()
    assert names - BESIDE_THE_MODELS == {"model.pt2", "model.onnx"} | native
    command = [sys.executable, "-I", str(tmp_path / "unpacked" / "run.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    given = answers(done.stdout)
    assert given.keys() == names - BESIDE_THE_MODELS
    assert len(set(given.values())) == 1
    assert len(literal_eval(given["model.pt2"])) == 8


def test_a_model_of_numbers_shows_numbers(ran, tmp_path):
    torch.manual_seed(0)
    workload = Workload(torch.nn.Linear(4, 1), data=(torch.rand(60, 4), torch.rand(60, 1)))
    take_away = taken(workload, EAGER)
    take_away.save(tmp_path)
    outputs = take_away.prepared.runner(take_away.workload.test.inputs[0][:8])
    assert literal_eval(ran(tmp_path)["model.pt2"]) == [f"{each:.3g}" for each in outputs.flatten().tolist()]


def test_without_a_measurement_the_report_says_so_and_has_the_receipt_all_the_same(tmp_path):
    taken(small(), EAGER).save(tmp_path)
    report = (tmp_path / "report.html").read_text()
    assert "saved without being measured" in report
    assert "aten::addmm" in report


def test_several_inputs_of_any_type_come_along(ran, tmp_path):
    class Both(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.head = torch.nn.Embedding(9, 4), torch.nn.Linear(7, 3)

        def forward(self, word, rest):
            return self.head(torch.cat([self.table(word), rest], 1))

    data = ((torch.arange(60) % 9, torch.rand(60, 3)), torch.arange(60) % 3)
    take_away = taken(Workload(Both(), data=data), EAGER)
    take_away.save(tmp_path)
    inputs = (each[:8] for each in take_away.workload.test.inputs)
    assert literal_eval(ran(tmp_path)["model.pt2"]) == take_away.prepared.runner(*inputs).argmax(1).tolist()


def test_a_disk_with_too_little_room_is_one_line_with_both_sizes(tmp_path):
    prepared = taken(small(), EAGER).prepared
    require_room(tmp_path, prepared)
    too_large = dataclasses.replace(prepared, size_bytes=shutil.disk_usage(tmp_path).total)
    words = r"has [\d,.]+ [kMG]B left and saving the model needs [\d,.]+ GB; free some space or choose another folder"
    with pytest.raises(WorkbenchError, match=rf"^{tmp_path} {words}$"):
        require_room(tmp_path, too_large)
