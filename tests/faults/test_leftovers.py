"""Temporary files of workers that were killed: real processes, real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from workbench.errors import WorkbenchError
from workbench.plumbing.scratch import Scratch
from workbench.session import Session
from workbench.store import Store

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")

WORKER_THAT_WRITES = """
import sys, tempfile, types

class Core:
    def __init__(self, outbox):
        tempfile.mkdtemp(prefix="of-the-worker-")

    def look_ahead(self, checkpoint):
        pass

def offered():
    from workbench.catalog import Catalog
    return Catalog(workloads=(), techniques=(), engines=(), devices=(), preferred=(), threads=1)

for name, parts in (("core.runs", dict(Core=Core)), ("core.offer", dict(offered=offered))):
    module = sys.modules["workbench." + name] = types.ModuleType("workbench." + name)
    vars(module).update(parts)
"""


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The system's temporary folder, empty; workers started meanwhile leave a folder in theirs."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    (tmp_path / "sitecustomize.py").write_text(WORKER_THAT_WRITES)
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def written(folder: Path) -> list[Path]:
    return list(folder.rglob("of-the-worker-*"))


def test_what_a_killed_worker_wrote_goes_with_it_and_its_successor_has_a_folder_of_its_own(temporary, tmp_path):
    session = Session(Store(tmp_path))
    session.catalog()
    (before,) = written(temporary)
    killed = session._supervisor.worker
    os.kill(session.worker_pid, signal.SIGKILL)
    killed._reader.join(timeout=60)
    session.catalog()
    (after,) = written(temporary)
    assert before.parent != after.parent
    session.close()
    assert list(temporary.iterdir()) == []


SESSION = """
import sys
from pathlib import Path
from workbench.session import Session
from workbench.store import Store
session = Session(Store(Path(sys.argv[1])))
session.catalog()
print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def notebook(temporary, tmp_path):
    """Another process with a session of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", SESSION, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert process.stdout.readline() == b"ready\n"
    yield process
    process.kill()
    process.communicate()


def test_what_a_killed_notebook_left_goes_at_the_next_start(temporary, notebook):
    assert len(written(temporary)) == 1
    notebook.kill()
    notebook.wait()
    Scratch("test").close()
    assert list(temporary.iterdir()) == []


def test_the_files_of_a_living_notebook_are_left_alone(temporary, notebook):
    Scratch("test").close()
    assert len(written(temporary)) == 1


def test_a_notebook_that_ends_without_closing_its_session_leaves_nothing(temporary, notebook):
    notebook.communicate(b"\n")
    assert notebook.returncode == 0
    assert list(temporary.iterdir()) == []


def test_a_folder_a_child_outlives_its_parent_with_stays_in_use(temporary):
    scratch = Scratch("test")
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=scratch.descriptors)
    scratch._lock.close()  # what the parent's death does
    Scratch("test").close()
    assert scratch.path.exists()
    child.communicate()
    Scratch("test").close()
    assert not scratch.path.exists()


def test_a_temporary_folder_that_cannot_be_used_is_named_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(WorkbenchError, match=r"no temporary folder can be made in .*absent \(No such file"):
        Scratch("test")
