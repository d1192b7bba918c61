from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_environment_yml_lists_what_pyproject_lists():
    twin = re.findall(r"^      - (?!-e)(.+)$", (ROOT / "environment.yml").read_text(), re.MULTILINE)
    assert sorted(twin) == sorted(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["engines"])


def test_python_version_is_the_same_in_both():
    assert f"  - python{PROJECT['requires-python']}\n" in (ROOT / "environment.yml").read_text()


@pytest.mark.parametrize("group", ["dependencies", *PROJECT["optional-dependencies"]])
def test_every_dependency_is_pinned_within_its_range(group):
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}
    wanted = PROJECT["dependencies"] if group == "dependencies" else PROJECT["optional-dependencies"][group]
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement


def test_files_named_in_the_readme_exist():
    for target in re.findall(r"\]\((?!http|#)([^)]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("target", ["app", "lab"])
def test_make_hands_the_port_on(target):
    asked = ["make", "--dry-run", target, "PORT=9000"]
    told = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"workbench {target} --port 9000\n" in told.stdout
