from __future__ import annotations

import os

import pytest

from workbench.session import Session


@pytest.fixture(scope="session", autouse=True)
def _own_data_directory(tmp_path_factory):
    """History of tests stays out of the user's own."""
    os.environ["WORKBENCH_DATA"] = str(tmp_path_factory.mktemp("data"))
    yield
    del os.environ["WORKBENCH_DATA"]


@pytest.fixture(scope="module")
def session():
    """A session with a real worker, shared by the tests of a file."""
    session = Session()
    yield session
    session.close()
