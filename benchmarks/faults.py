"""How soon a run ends that doesn't stop by itself, and how soon there is a new worker where one was killed."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

import workbench as wb
from benchmarks._report import Row
from workbench.recipe import Recipe
from workbench.session import Run, RunFailed, Session
from workbench.store import Store

_TIMES = 5
_TRAINING = Recipe.parse(steps=[{"do": "prune", "finetune_epochs": 5}], place={"engine": "eager", "threads": 1})


class Stuck(torch.nn.Linear):
    """Never comes back from a batch of three, and writes into ``pipe`` when it is there."""

    def __init__(self, pipe: Path) -> None:
        super().__init__(4, 3)
        self.pipe = pipe

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if len(inputs) == 3:
            self.pipe.write_text("stuck")
            time.sleep(3600)
        return super().forward(inputs)


def measure() -> list[Row]:
    """Cancel a model that never returns and one in training; kill a worker in the middle of a training."""
    with tempfile.TemporaryDirectory() as folder:
        session = Session(Store(Path(folder) / "history.sqlite"))
        session.catalog()
        stuck = [_cancelled_s(session, _start_stuck) for _ in range(_TIMES)]
        training = [_cancelled_s(session, _start_training) for _ in range(_TIMES)]
        killed = [_killed_s(session) for _ in range(_TIMES)]
        session.close()
    return [
        _row("cancel of a model that never returns → run stopped", "≤ 2 s always", 2, stuck),
        _row("cancel in a training epoch → run stopped", "≤ 2 s always", 2, training),
        _row("worker killed in a training → a new one is ready", "≤ 3 s", 3, killed),
    ]


def _row(what: str, aim: str, at_most_s: float, seconds: list[float]) -> Row:
    worst = max(seconds)
    return Row(f"{what} (worst of {len(seconds)})", aim, f"{worst:.2f} s", worst <= at_most_s, {"s": seconds})


def _start_stuck(session: Session) -> Run:
    data = (torch.rand(60, 4), torch.arange(60) % 3)
    recipe = Recipe.parse(place={"engine": "eager", "threads": 1, "batch": 3})
    with tempfile.TemporaryDirectory() as folder:
        pipe = Path(folder) / "stuck"
        os.mkfifo(pipe)
        run = session.start(wb.Workload(Stuck(pipe), data=data), recipe)
        pipe.read_text()  # waits for it
    return run


def _start_training(session: Session) -> Run:
    run = session.start(wb.load("fashion-cnn"), _TRAINING)
    next(event for event in run if event.kind == "training")
    return run


def _cancelled_s(session: Session, start: Callable[[Session], Run]) -> float:
    run = start(session)
    began = time.monotonic()
    run.cancel()
    last = [event.kind for event in run][-1]
    if last != "cancelled":
        raise RuntimeError(f"the cancelled run ended as {last!r}")
    return time.monotonic() - began


def _killed_s(session: Session) -> float:
    run = _start_training(session)
    began = time.monotonic()
    os.kill(session.worker_pid, signal.SIGKILL)
    try:
        run.result()
    except RunFailed:
        pass
    else:
        raise RuntimeError("the run of the killed worker didn't fail")
    session.catalog()  # waits for the new worker, which was started before the run was said to have failed
    return time.monotonic() - began
