"""The contracts that `lint-imports` checks name every room: one they forget could import what it likes."""

from __future__ import annotations

import pkgutil
import tomllib
from pathlib import Path

import pytest

import workbench

PROJECT = Path(__file__).parent.parent / "pyproject.toml"
CONTRACTS = {
    contract["name"]: contract for contract in tomllib.loads(PROJECT.read_text())["tool"]["importlinter"]["contracts"]
}
JUPYTER = CONTRACTS["the acceleration core imports nothing of Jupyter"]["source_modules"]
DEEPER = CONTRACTS["widgets know sessions, recipes, events and receipts, nothing deeper"]["forbidden_modules"]
WHAT_WIDGETS_KNOW = {
    *("session", "recipe", "events", "examples", "mixtures", "sensitivities"),
    *("receipt", "layer", "catalog", "workload", "errors"),
}
ROOMS = {module.name for module in pkgutil.iter_modules([str(Path(workbench.__file__).parent)])} - {"widgets"}


@pytest.mark.parametrize(
    ("listed", "expected"),
    [(JUPYTER, ROOMS), (DEEPER, ROOMS - WHAT_WIDGETS_KNOW)],
    ids=["the core", "what widgets must not know"],
)
def test_a_contract_names_every_room(listed, expected):
    named = {module.removeprefix("workbench.") for module in listed if module.startswith("workbench.")}
    assert named - {"datasets"} == expected  # which lies beside the package in a checkout
