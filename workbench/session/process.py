"""The worker as seen from the session: a program of its own, started, spoken to, killed, and noticed when it dies."""

from __future__ import annotations

import collections
import logging
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

from workbench.plumbing import wire
from workbench.plumbing.scratch import Scratch

_log = logging.getLogger(__name__)


class WorkerProcess:
    """``python -m workbench.core.worker`` with its pipes.

    ``on_message(process, message)`` and, once, ``on_exit(process, description)`` are called on the
    process's reader thread. The child ends by itself when this process does: its pipe closes.
    """

    def __init__(
        self,
        on_message: Callable[[WorkerProcess, dict[str, Any]], None],
        on_exit: Callable[[WorkerProcess, str], None],
    ) -> None:
        self._scratch = Scratch("worker")
        search_path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "workbench.core.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={
                **os.environ,
                **self._scratch.environment(),
                "PYTHONPATH": search_path,
                "PYTHONUNBUFFERED": "1",
            },
            start_new_session=True,  # an interrupt at the terminal is the parent's to handle
        )
        self._abandoned = threading.Event()
        weakref.finalize(self, _abandon, self._popen, self._scratch, self._abandoned, os.getpid())
        self.was_killed = False
        self._sending = threading.Lock()
        self._stderr: collections.deque[str] = collections.deque(maxlen=50)
        self._drain = threading.Thread(target=self._keep_stderr, daemon=True, name="workbench-worker-stderr")
        self._drain.start()
        self._reader = threading.Thread(
            target=self._read, args=(on_message, on_exit), daemon=True, name="workbench-reader"
        )
        self._reader.start()

    @property
    def pid(self) -> int:
        """Of the child process."""
        return self._popen.pid

    def send(self, message: dict[str, Any], blob: bytes = b"") -> None:
        """Send one message. A dead child is no error here: ``on_exit`` tells of it."""
        try:
            with self._sending:
                wire.send(self._popen.stdin, message, blob)
        except (OSError, ValueError):
            pass

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        self.was_killed = True
        self._popen.kill()

    def close(self) -> None:
        """Let it end: its inbox closes. Killed if it hasn't gone after two seconds."""
        try:
            self._popen.stdin.close()
            self._popen.wait(timeout=2)
        except (OSError, subprocess.TimeoutExpired):
            self._popen.kill()
            self._popen.wait()
        self._scratch.close()

    def _read(self, on_message: Callable, on_exit: Callable) -> None:
        try:
            while True:
                message, _ = wire.receive(self._popen.stdout)
                try:
                    on_message(self, message)
                except Exception:  # what comes after this message must still be heard
                    _log.exception("a message of the worker could not be handled")
        except EOFError:
            code = self._popen.wait()
            self._drain.join(timeout=1)
            if not self._abandoned.is_set():
                on_exit(self, self._last_words(code))
            self._scratch.close()

    def _last_words(self, code: int) -> str:
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        last = next((line for line in reversed(self._stderr) if line.strip()), "")
        return f"{how}: {last}" if last and code > 0 else how

    def _keep_stderr(self) -> None:
        for line in self._popen.stderr:
            self._stderr.append(line.decode(errors="replace").rstrip())


def _abandon(popen: subprocess.Popen, scratch: Scratch, abandoned: threading.Event, owner: int) -> None:
    """What happens at the latest when this process ends and nobody closed the session."""
    if os.getpid() == owner:  # a forked copy of this process has no say in it
        abandoned.set()
        popen.kill()
        popen.wait()
        scratch.close()
