from __future__ import annotations

import pytest

from workbench.session import Session


@pytest.fixture(scope="module")
def session():
    """A session with a real worker, shared by the tests of a file."""
    session = Session()
    yield session
    session.close()
