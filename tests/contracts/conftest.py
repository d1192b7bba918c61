"""``pytest tests/contracts --model PATH``: a path that a loader of another package reads."""

from pathlib import Path

import pytest

from tests.contracts.stored import WRITERS


def pytest_addoption(parser):
    parser.addoption("--model", action="append", default=[], type=Path, help="a model that a loader is to read")


def pytest_generate_tests(metafunc):
    if "stored" in metafunc.fixturenames:
        given = metafunc.config.getoption("--model", default=[])
        metafunc.parametrize("stored", [*WRITERS, *given], indirect=True, scope="module", ids=_name)


@pytest.fixture(scope="module")
def stored(request, tmp_path_factory) -> Path:
    """The path of a model that one of the loaders reads."""
    if isinstance(request.param, Path):
        return request.param
    return request.param(tmp_path_factory.mktemp("stored"))


def _name(given) -> str:
    return given.name if isinstance(given, Path) else given.__name__
