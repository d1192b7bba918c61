"""The worker: the program in which runs happen (``python -m workbench.core.worker``).

It reads commands on its standard input and answers on its standard output, as ``wire`` frames
them. One thread listens, so that a cancellation is seen while the main thread computes; the main
thread runs one thing at a time and, while nothing is asked, prepares what may be asked next.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from workbench import events
from workbench.catalog import Catalog
from workbench.errors import Cancelled, WorkbenchError
from workbench.plumbing import wire
from workbench.plumbing.words import one_line
from workbench.receipt import Result
from workbench.recipe import Recipe

Message = dict[str, Any]
Checkpoint = Callable[[], None]


class Inbox:
    """Commands in their order, and which runs are no longer wanted."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._commands: queue.SimpleQueue[tuple[Message, bytes]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting: Counter[str] = Counter()
        self._unwanted: set[int | str] = set()
        self._searched_enough: set[int] = set()
        threading.Thread(target=self._listen, daemon=True, name="inbox").start()

    def next(self) -> tuple[Message, bytes]:
        """The next command, waiting for it."""
        message, blob = self._commands.get()
        with self._lock:
            self._waiting[message["do"]] -= 1
        return message, blob

    def waiting(self, but: str = "") -> bool:
        """Whether a command has come that wasn't taken yet, of another kind than ``but``."""
        with self._lock:
            return any(count for kind, count in self._waiting.items() if kind != but)

    def wanted(self, asked: int | str) -> bool:
        """False once the run, by its number, or the question, by its ticket, was cancelled or overtaken."""
        return asked not in self._unwanted

    def searched_enough(self, run: int) -> bool:
        """Whether this run is to go on with the best that it found so far."""
        return run in self._searched_enough

    def _listen(self) -> None:
        while True:
            try:
                message, blob = wire.receive(self._stream)
            except EOFError:
                os._exit(0)  # the parent is gone: nothing here is worth keeping
            if message["do"] == "cancel":
                self._unwanted.add(message["run"])
            elif message["do"] == "take best":
                self._searched_enough.add(message["run"])
            else:
                with self._lock:
                    self._waiting[message["do"]] += 1
                self._commands.put((message, blob))


class Outbox:
    """What the worker says; from any thread."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def event(self, event: events.Event, result_key: str = "") -> None:
        """Send one event of a run."""
        self._send({"kind": "event", "event": event.model_dump(mode="json"), "result_key": result_key})

    def ready(self, catalog: Catalog) -> None:
        """Say that runs can come, and what can be asked for here."""
        self._send({"kind": "ready", "catalog": catalog.model_dump(mode="json")})

    def begun(self, run: int) -> None:
        """Say that this run is what happens from now on, so that it can be told from those that wait."""
        self._send({"kind": "begun", "run": run})

    def answer(self, ticket: str, **fields: Any) -> None:
        """Answer a question that is no run."""
        self._send({"kind": "answer", "ticket": ticket, **fields})

    def _send(self, message: Message) -> None:
        with self._lock:
            wire.send(self._stream, message)


def _private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Take the two pipes for ourselves: whatever a model or a library prints goes to stderr instead."""
    commands, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    return commands, answers


def main() -> None:
    """Serve commands until the parent closes the pipe."""
    commands, answers = _private_pipes()
    inbox, outbox = Inbox(commands), Outbox(answers)

    from workbench.core.offer import offered
    from workbench.core.runs import Core  # imports torch, which takes seconds: the inbox listens already

    core = Core(outbox)
    outbox.ready(offered())
    while True:
        _look_ahead(core, inbox)
        message, blob = inbox.next()
        if message["do"] == "workload":
            core.keep_workload(message["token"], blob, message["known"])
        elif message["do"] in _QUESTIONS:
            _answer(core, inbox, outbox, message)
        elif inbox.wanted(message["run"]):
            _run(core, inbox, outbox, message)
        else:
            outbox.event(events.Cancelled(run=message["run"]))


def _run(core: Any, inbox: Inbox, outbox: Outbox, message: Message) -> None:
    run = message["run"]

    def checkpoint() -> None:
        if not inbox.wanted(run):
            raise Cancelled

    outbox.begun(run)
    try:
        asked = message["workload"], Recipe.parse(message["recipe"]), message["baseline"]
        core.run(
            run,
            *asked,
            checkpoint,
            enough=lambda: inbox.searched_enough(run),
            when_quiet=message["when_quiet"],
            train_up_to_s=message["train_up_to_s"],
        )
    except Cancelled:
        outbox.event(events.Cancelled(run=run))
    except Exception as error:  # a run may fail in any library; the worker lives on
        outbox.event(events.Failed(run=run, message=_one_line(error), detail=traceback.format_exc()))


def _answer(core: Any, inbox: Inbox, outbox: Outbox, message: Message) -> None:
    try:
        questions, recipe = core.questions(), Recipe.parse(message["recipe"])
        for answer in _QUESTIONS[message["do"]](questions, recipe, message, _giving_way(inbox, message)):
            outbox.answer(message["ticket"], **answer)
    except Cancelled:
        outbox.answer(message["ticket"], gave_way=True)
    except Exception as error:  # so may a question
        outbox.answer(message["ticket"], error=_one_line(error))


def _giving_way(inbox: Inbox, question: Message | None = None) -> Checkpoint:
    """A checkpoint that raises ``Cancelled`` as soon as something else was asked for, or nobody waits for the answer.

    A second question of the same kind waits: two that give way to each other would never end.
    """
    kind, ticket = (question["do"], question["ticket"]) if question else ("", "")

    def checkpoint() -> None:
        if inbox.waiting(but=kind) or not inbox.wanted(ticket):
            raise Cancelled

    return checkpoint


def _save(questions: Any, recipe: Recipe, message: Message, _checkpoint: Checkpoint) -> Iterator[Message]:
    result = Result.model_validate(message["result"]) if message["result"] else None
    paths = questions.save(message["workload"], recipe, result, Path(message["target"]))
    yield {"paths": [str(path) for path in paths]}


def _examples(questions: Any, recipe: Recipe, message: Message, checkpoint: Checkpoint) -> Iterator[Message]:
    found = questions.examples(message["workload"], recipe, message["limit"], checkpoint)
    yield {"examples": found.model_dump(mode="json")}


def _layer(questions: Any, recipe: Recipe, message: Message, _checkpoint: Checkpoint) -> Iterator[Message]:
    yield {"detail": questions.layer(message["workload"], recipe, message["layer"]).model_dump(mode="json")}


def _sensitivity(questions: Any, recipe: Recipe, message: Message, checkpoint: Checkpoint) -> Iterator[Message]:
    asked = message["workload"], recipe, message["schemes"], message["examples"]
    for found in questions.sensitivity(*asked, checkpoint, train=message["train"]):
        yield {"sensitivity": found.model_dump(mode="json"), "more": not found.final}


def _mixed_precision(questions: Any, recipe: Recipe, message: Message, checkpoint: Checkpoint) -> Iterator[Message]:
    from workbench.core.mixing import Wanted

    wanted = Wanted(message["budget"], tuple(message["schemes"]), message["examples"], message["seconds"])
    for found in questions.mixed_precision(message["workload"], recipe, wanted, checkpoint, train=message["train"]):
        yield {"mixture": found.model_dump(mode="json"), "more": not found.final}


_QUESTIONS: dict[str, Callable[[Any, Recipe, Message, Checkpoint], Iterator[Message]]] = {
    "save": _save,
    "examples": _examples,
    "layer": _layer,
    "sensitivity": _sensitivity,
    "mixed_precision": _mixed_precision,
}
"""What is asked about a variant that is no run: its ``Questions``, the recipe and the whole message give the answer.

One that comes in parts says of each but the last that there is more. One that may give way to what comes meanwhile
calls the checkpoint now and then.
"""


def _one_line(error: Exception) -> str:
    if isinstance(error, WorkbenchError):
        return str(error)
    return f"{type(error).__name__}: {one_line(error) if str(error).strip() else 'no message'}"


def _look_ahead(core: Any, inbox: Inbox) -> None:
    try:
        core.look_ahead(_giving_way(inbox))
    except Cancelled:
        return
    except Exception:  # the same failure is reported in full if the person asks for that variant
        traceback.print_exc(file=sys.stderr)


if __name__ == "__main__":
    main()
