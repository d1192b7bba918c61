from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session")
def cache_directory(tmp_path_factory):
    """Compiled models of tests stay out of the user's own cache, and are shared by all tests of a run."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before
