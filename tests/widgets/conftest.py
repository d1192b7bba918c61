from __future__ import annotations

import threading

import pytest

from tests.widgets.parts import HandDrivenSession
from workbench.widgets import Workbench
from workbench.widgets.page import pump


@pytest.fixture
def session() -> HandDrivenSession:
    return HandDrivenSession()


@pytest.fixture
def bench(session):
    widget = Workbench(session=session)
    widget.frame.views = 1  # what a browser does when it draws the page
    yield widget
    widget.close()


@pytest.fixture
def settle():
    """Write out everything that waits in the pump, and what that brings there."""

    def settle() -> None:
        for _ in range(3):
            pump.shared().flush()

    return settle


@pytest.fixture
def answered(settle):
    """Draw, wait until every question was answered, and draw that."""

    def answered() -> None:
        settle()
        for thread in threading.enumerate():
            if thread.name == "feed":
                thread.join()
        settle()

    return answered
