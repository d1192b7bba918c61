"""On the way to an engine: whether it is there for a variant, and what it means where it fails on one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from workbench import engines
from workbench.engines import Engine
from workbench.errors import Cancelled, EngineError, WorkbenchError
from workbench.plumbing.words import one_line
from workbench.recipe import Place
from workbench.variant import Precision


def require_engine(place: Place, precision: Precision) -> Engine:
    """The engine of ``place``; :class:`EngineError` where it isn't there or doesn't run this precision there."""
    engine = engines.find(place.engine)
    if reason := engine.unavailable():
        raise EngineError(f"{engine.title} isn't available: {reason}")
    if reason := engine.refuses(precision, place.device):
        raise EngineError(f"{engine.title} can't run {precision} on {place.device}: {reason}")
    return engine


@contextmanager
def failures_of(engine: Engine) -> Iterator[None]:
    """Whatever goes wrong in here means that ``engine`` can't run this model: an :class:`EngineError`, in one line."""
    try:
        yield
    except (Cancelled, WorkbenchError):
        raise
    except Exception as error:  # engines and the libraries behind them fail on models in as many ways as there are
        raise EngineError(f"{engine.title} fails on this model: {type(error).__name__}: {one_line(error)}") from error
