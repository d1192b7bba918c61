"""Another package brings a technique, an engine, a precision and a device: found everywhere by their declarations."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = '''
import copy
from typing import ClassVar, Literal

import workbench.engines.eager
from workbench.machine.devices import Device
from workbench.precisions import Integers, Precision
from workbench.techniques import Technique, option


class Coarsen(Technique):
    """Round weights to so many decimals."""

    title: ClassVar[str] = "Coarsen"
    order: ClassVar[int] = 30
    main_option: ClassVar[str] = "decimals"
    libraries: ClassVar[tuple[str, ...]] = ("made-up",)

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
    libraries = ("torch", "made-up")
    rank = 99
    preference = None
    is_baseline = is_reference = False


class Abacus(Device):
    """Nobody has one."""

    kind = "abacus"
    rank = 99

    def found(self):
        return [{"name": "abacus", "title": "Abacus", "unavailable": "it is at the museum"}]


SIX = Precision(
    name="int6-weights", help="six bits of a byte", order=60, dtype="int8", weights=Integers(6, "channel")
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
"""


def install(folder: Path, version: str) -> Path:
    folder.mkdir()
    (folder / "made_up.py").write_text(SOURCE)
    about = folder / f"made_up-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: made-up\nVersion: {version}\n")
    (about / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder


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
    [("techniques", "coarsen"), ("engines", r"mirror"), ("devices", "it is at the museum")],
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
    code = """
import json
from workbench.recipe import Place, Recipe
from workbench.techniques.quantize import Quantize
device = Place.model_json_schema()["properties"]["device"]["pattern"]
scheme = Quantize.model_json_schema()["properties"]["scheme"]["enum"]
recipe = Recipe.parse(steps=[{"do": "coarsen", "decimals": 2}, {"do": "quantize", "scheme": "int6-weights"}])
print(json.dumps([device, scheme, recipe.precision, recipe.summary()]))
"""
    device, scheme, precision, summary = json.loads(python(package, "-c", code).stdout)
    assert "abacus" in device
    assert scheme[-1] == precision == "int6-weights"
    assert "coarsen" in summary


def test_the_page_offers_it(package):
    code = """
import json
from workbench.session import Session
from workbench.widgets.controls import schema
session = Session()
print(json.dumps(schema.panel(session.catalog())))
session.close()
"""
    offered = json.loads(python(package, "-c", code).stdout)
    (coarsen,) = (each for each in offered["techniques"] if each["name"] == "coarsen")
    assert [option["name"] for option in coarsen["options"]] == ["decimals"]
    mirror = offered["engines"][-1]
    assert mirror["name"] == "mirror"
    assert mirror["refuses"]["cpu"].keys() >= {"bf16", "int6-weights"}, "what it doesn't name"
    assert offered["devices"][-1]["name"] == "abacus"


def test_it_is_run_and_measured_and_its_version_goes_with_the_result(package):
    asked = ["run", "fashion-student", "--coarsen", "2", "--baseline", "eager", "--threads", "1", "--json"]
    result = json.loads(workbench(package, *asked, "--engine", "mirror"))
    assert result["variant"]["engine"] == "mirror"
    assert result["recipe"]["steps"][0] == {"do": "coarsen", "decimals": 2}
    assert result["environment"]["versions"]["made-up"] == "1.2.3"


def test_a_made_up_precision_is_computed(package):
    asked = ["run", "fashion-mlp", "--quantize", "int6-weights", "--engine", "eager", "--baseline", "eager", "--json"]
    result = json.loads(workbench(package, *asked))
    realities = {row["reality"] for row in result["receipt"]}
    assert "simulated" in realities
    assert "real" not in realities
    assert 0 < result["accuracy_drop"]["high"] < 0.05, "63 levels lose a little"


def test_another_version_is_another_result(package, tmp_path):
    code = "from workbench.core import offer; from workbench.machine import identity as i; print(i.fingerprint({}))"
    code = code.format("offer.libraries()")
    newer = install(tmp_path / "newer", "1.2.4")
    assert python(package, "-c", code).stdout != python(newer, "-c", code).stdout
