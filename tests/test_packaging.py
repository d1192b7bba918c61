from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
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


def test_without_a_compiler_the_package_installs_and_says_why_native_is_missing(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, env={**os.environ, "CXX": "/bin/false"}, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    # Without site (-S) the working copy that this environment points to isn't found: only the wheel and its needs are.
    places = [str(tmp_path / "installed"), sysconfig.get_path("purelib")]
    code = (
        f"import sys; sys.path[:0] = {places}; from workbench.commands.cli import main; sys.exit(main({{arguments}}))"
    )

    def told(*arguments: str) -> str:
        command = [sys.executable, "-S", "-c", code.format(arguments=list(arguments))]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120).stdout

    assert re.search(r"native.*compiler", told("list", "engines"))
    assert "fashion-cnn" in told("list", "workloads")
    quality = json.loads(told("run", "fashion-student", "--engine", "eager", "--json"))["variant"]["quality"]
    assert quality["n"] == 10_000
