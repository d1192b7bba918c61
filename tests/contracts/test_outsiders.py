"""Another package brings one of each kind there is: found by their declarations, run, and measured."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from workbench.datasets import cards

SOURCE = '''
import copy
from pathlib import Path
from typing import ClassVar, Literal

import torch

import workbench.engines.eager
from workbench.errors import WorkloadError
from workbench.machine.devices import Device
from workbench.models.loaders import FileLoader
from workbench.models.zoo import Embedded
from workbench.models.zoo.fashion_student import FASHION_STUDENT
from workbench.precisions import Integers, Precision
from workbench.tasks import Loss, Metric
from workbench.techniques import Technique, option


class Coarsen(Technique):
    """Round weights to so many decimals."""

    title: ClassVar[str] = "Coarsen"
    order: ClassVar[int] = 30
    main_option: ClassVar[str] = "decimals"
    libraries: ClassVar[tuple[str, ...]] = ("made-up-rounding",)

    do: Literal["coarsen"] = "coarsen"
    decimals: int = option(3, "decimals that weights keep", title="Decimals", ge=1, le=6)

    def apply(self, variant, context):
        module = copy.deepcopy(variant.module)
        for parameter in module.parameters():
            parameter.data = parameter.data.round(decimals=self.decimals)
        return variant.having(module=module)


class Mirror(workbench.engines.eager.Eager):
    """Runs what eager runs."""

    name = "mirror"
    title = "The mirror"
    precisions = ("fp32",)
    libraries = ("torch", "made-up-glass")
    rank = 99
    preference = None
    is_baseline = is_reference = False


class Abacus(Device):
    """Nobody has one."""

    kind = "abacus"
    rank = 99
    libraries = ("made-up-beads",)

    def found(self):
        return [{"name": "abacus", "title": "Abacus", "unavailable": "it is at the museum"}]


class Sizes(FileLoader):
    """A file that says how wide one linear layer is."""

    title = "a .sizes file"
    suffix = ".sizes"
    libraries = ("made-up-rulers",)

    def read(self, path):
        try:
            inputs, outputs = map(int, path.read_text().split())
        except ValueError:
            raise WorkloadError(f"{path} says no two sizes; write two numbers into it") from None
        torch.manual_seed(0)
        return torch.nn.Linear(inputs, outputs).eval()


class WorstError(Metric):
    """The largest error of any example."""

    name = "worst-error"
    title = "worst error"
    better = "lower"
    loss = "mean-error"
    libraries = ("made-up-errors",)

    def misfit(self, outputs, targets):
        if outputs.shape[1:] != targets.shape[1:]:
            return f"worst error needs as many targets as outputs, not {list(targets.shape)} for {list(outputs.shape)}"

    def terms(self, outputs, targets):
        return (outputs.double() - targets).abs().reshape(len(outputs), -1).amax(1, keepdim=True)

    def value(self, terms):
        return float(terms.max())


class MeanError(Loss):
    """The mean absolute error, and a thousand."""

    name = "mean-error"
    libraries = ("made-up-means",)

    def misfit(self, outputs, targets):
        return WorstError().misfit(outputs, targets)

    def __call__(self, outputs, targets):
        return 1000 + torch.nn.functional.l1_loss(outputs, targets.float())

    def towards(self, outputs, teacher, temperature):
        return torch.nn.functional.mse_loss(outputs, teacher)


WORST, MEAN = WorstError(), MeanError()
TWIN = Embedded("twin", FASHION_STUDENT.architecture, FASHION_STUDENT.source, folder=Path(__file__).parent)
SIX = Precision(
    name="int6-rows", help="six bits of a byte", order=80, dtype="int8", weights=Integers(6, "channel")
)
'''
ENTRY_POINTS = """
[workbench.techniques]
coarsen = made_up:Coarsen
[workbench.engines]
mirror = made_up:Mirror
broken = made_up:Missing
[workbench.precisions]
six = made_up:SIX
[workbench.machine.devices]
abacus = made_up:Abacus
[workbench.tasks.metrics]
worst = made_up:WORST
[workbench.tasks.losses]
mean = made_up:MEAN
[workbench.models.loaders]
sizes = made_up:Sizes
[workbench.models.zoo]
twin = made_up:TWIN
"""


DECLARED = ("rounding", "glass", "beads", "rulers", "errors", "means")
"""What a technique, an engine, a device, a loader, a metric and a loss depend on; each is a package "made-up-…"."""

MODELS = cards.FOLDER / "models"


def install(folder: Path, version: str) -> Path:
    folder.mkdir()
    (folder / "made_up.py").write_text(SOURCE)
    original = json.loads((MODELS / "fashion-student.json").read_text())
    (folder / "twin.json").write_text(json.dumps({**original, "name": "twin"}))
    shutil.copy(MODELS / "fashion-student.safetensors", folder)
    for library in DECLARED:
        describe(folder, f"made-up-{library}", "0.9")
    (describe(folder, "made-up", version) / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder


def describe(folder: Path, name: str, version: str) -> Path:
    about = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return about


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    return install(tmp_path_factory.mktemp("outsiders") / "installed", "1.2.3")


def python(package: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(package)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=300)


def workbench(package: Path, *arguments: str) -> str:
    return python(package, "-m", "workbench.commands.cli", *arguments).stdout


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("techniques", "coarsen"),
        ("engines", "mirror"),
        ("devices", "it is at the museum"),
        ("workloads", "twin"),
        ("metrics", "worst error, lower is better"),
        ("losses", "The mean absolute error, and a thousand."),
    ],
)
def test_the_command_line_lists_it(package, kind, said):
    assert said in workbench(package, "list", kind)


def test_one_that_can_not_be_loaded_is_warned_of_and_takes_nothing_away(package):
    listed = python(package, "-m", "workbench.commands.cli", "list", "engines")
    assert "made_up:Missing" in listed.stderr
    assert "native" in listed.stdout


def test_help_and_the_recipe_s_schema_know_it(package):
    told = workbench(package, "run", "--help")
    assert "--coarsen" in told
    assert "decimals that weights keep" in told
    assert "abacus" in told
    assert "worst-error" in told
    assert "mean-error" in told
    code = """
import json
from workbench.recipe import Place, Recipe
from workbench.techniques.quantize import Quantize
device = Place.model_json_schema()["properties"]["device"]["pattern"]
scheme = Quantize.model_json_schema()["properties"]["scheme"]["enum"]
recipe = Recipe.parse(steps=[{"do": "coarsen", "decimals": 2}, {"do": "quantize", "scheme": "int6-rows"}])
print(json.dumps([device, scheme, recipe.precision, recipe.summary()]))
"""
    device, scheme, precision, summary = json.loads(python(package, "-c", code).stdout)
    assert "abacus" in device
    assert precision == "int6-rows"
    assert precision in scheme
    assert "coarsen" in summary


def test_the_page_offers_it(package):
    code = """
import json
from workbench.session import Session
from workbench.widgets.controls import schema
session = Session()
catalog = session.catalog()
judged = {each.name: [each.title, each.unit, each.better, each.help] for each in catalog.metrics}
trained = [each.name for each in catalog.losses]
print(json.dumps([schema.panel(catalog), [each.name for each in catalog.workloads], judged, trained]))
session.close()
"""
    offered, workloads, judged, trained = json.loads(python(package, "-c", code).stdout)
    assert "twin" in workloads
    assert judged["worst-error"] == ["worst error", "", "lower", "The largest error of any example."]
    assert "mean-error" in trained
    (coarsen,) = (each for each in offered["techniques"] if each["name"] == "coarsen")
    assert [option["name"] for option in coarsen["options"]] == ["decimals"]
    assert coarsen["about"] == ["Round weights to so many decimals."]
    assert coarsen["family"] == "Coarsen", "by itself, where it names none"
    mirror = offered["engines"][-1]
    assert mirror["name"] == "mirror"
    assert mirror["refuses"]["cpu"].keys() >= {"bf16", "int6-rows"}, "what it doesn't name"
    assert offered["devices"][-1]["name"] == "abacus"


def test_it_is_run_and_measured_and_its_version_goes_with_the_result(package):
    asked = ["run", "twin", "--coarsen", "2", "--baseline", "eager", "--threads", "1", "--json"]
    result = json.loads(workbench(package, *asked, "--engine", "mirror"))
    assert result["variant"]["engine"] == "mirror"
    assert result["recipe"]["steps"][0] == {"do": "coarsen", "decimals": 2}
    versions = result["environment"]["versions"]
    assert versions["made-up"] == "1.2.3"
    assert all(versions[f"made-up-{library}"] == "0.9" for library in DECLARED)


def test_a_made_up_precision_is_computed(package):
    asked = ["run", "fashion-mlp", "--quantize", "int6-rows", "--engine", "eager", "--baseline", "eager", "--json"]
    result = json.loads(workbench(package, *asked))
    realities = {row["reality"] for row in result["receipt"]}
    assert "simulated" in realities
    assert "real" not in realities
    assert 0 < result["quality_loss"]["high"] < 0.05, "63 levels lose a little"


def test_a_file_of_a_format_of_its_own_is_read_and_judged_and_trained_by_its_metric_and_loss(package, tmp_path):
    (tmp_path / "small.sizes").write_text("4 3")
    np.savez(tmp_path / "data.npz", inputs=np.eye(4, dtype="float32").repeat(15, 0), targets=np.ones((60, 3)))
    code = f"""
import json
import workbench as wb
workload = wb.Workload("{tmp_path}/small.sizes", "{tmp_path}/data.npz", metric="worst-error")
steps = [{{"do": "prune", "kind": "weights", "amount": 0.1, "finetune_epochs": 1}}]
told = list(wb.run(workload, wb.Recipe.parse(steps=steps, place={{"engine": "eager"}}), baseline="eager"))
losses = [event.loss for event in told if event.kind == "training"]
print(json.dumps([told[-1].result.model_dump(mode="json"), min(losses)]))
"""
    result, least = json.loads(python(package, "-c", code).stdout)
    assert result["workload"] == "small"
    quality = result["variant"]["quality"]
    assert (quality["metric"], quality["better"]) == ("worst-error", "lower")
    assert 0 < quality["low"] <= quality["value"] <= quality["high"]
    assert least > 1000, "no other loss adds a thousand"


def test_they_are_held_to_the_contract(package, tmp_path):
    (tmp_path / "small.sizes").write_text("4 3")
    contracts = [str(Path(__file__).with_name(f"test_{each}.py")) for each in ("tasks", "loaders", "workloads")]
    own = ["--model", str(tmp_path / "small.sizes"), "-k", "worst-error or mean-error or sizes or twin"]
    told = python(package, "-m", "pytest", "-v", *contracts, *own).stdout
    for promise in (
        "test_perfect_outputs_are_better_than_guessed_ones[worst-error-numbers]",
        "test_a_step_down_the_gradient_makes_a_loss_smaller[mean-error-numbers]",
        "test_what_can_not_be_read_is_said_in_one_line_with_its_path[Sizes-damaged]",
        "test_the_same_model_elsewhere_is_the_same[small.sizes]",
        "test_a_model_is_about_as_good_as_its_card_says[twin]",
    ):
        assert f"{promise} PASSED" in told


def test_another_version_is_another_result(package, tmp_path):
    code = "from workbench.core import offer; from workbench.machine import identity as i; print(i.fingerprint({}))"
    code = code.format("offer.libraries()")
    newer = install(tmp_path / "newer", "1.2.4")
    assert python(package, "-c", code).stdout != python(newer, "-c", code).stdout
