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


@pytest.fixture(scope="session", autouse=True)
def _short_comparisons():
    """What is tested of a run doesn't depend on how narrow its intervals are; :mod:`tests.measure` asks about those."""
    os.environ["WORKBENCH_COMPARISON_SECONDS"] = "1"
    yield
    del os.environ["WORKBENCH_COMPARISON_SECONDS"]


@pytest.fixture(scope="module")
def session():
    """A session with a real worker, shared by the tests of a file."""
    session = Session()
    yield session
    session.close()


@pytest.fixture
def every_layer_in_int8(monkeypatch):
    """Native keeps no layer in float32 for being faster so here: a test asks what int8 gives, not which is faster."""
    plans = "workbench.engines.native.pick.plans"
    monkeypatch.setattr(f"{plans}.slower_in_int8", lambda *_: [])
    monkeypatch.setattr(f"{plans}.recall", lambda *_: None)  # what another test has measured
    monkeypatch.setattr(f"{plans}.remember", lambda *_, **__: None)
