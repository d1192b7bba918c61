"""The commands that open the workbench: a Voila page, JupyterLab, or a new notebook folder of one's own."""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil

from workbench.commands import quiet_server
from workbench.errors import WorkbenchError
from workbench.plumbing.scratch import Scratch

_HOST = "127.0.0.1"
_LAST_PORT = 65535
_READY_TIMEOUT_SECONDS = 120
_WARM_TIMEOUT_SECONDS = 30
_CLOSED_SECONDS = 60  # a page that lost its connection has this long to come back
_QUIET_SECONDS = 0.4
_QUIET_SHARE = 0.1
_SERVER = (sys.executable, "-m", quiet_server.__name__)


def notebooks_directory() -> Path:
    """Where the notebooks are: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).parent.parent
    inside = package / "notebooks"
    return inside if inside.is_dir() else package.parent / "notebooks"


def _share() -> Path:
    """Where Voila finds our template, which asks nothing of the network."""
    package = Path(__file__).parent.parent
    inside = package / "widgets" / "share"
    return inside if inside.is_dir() else package.parent / "widgets" / "share"


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add ``app``, ``lab`` and ``new`` to the command line."""
    app = commands.add_parser("app", help="serve the workbench as a page")
    app.set_defaults(command=_app)
    app.add_argument("--port", type=_port, default=8866)
    app.add_argument("--token", help="what opens the page; a fresh one when absent")
    app.add_argument("--theme", choices=["light", "dark"], default="light")

    lab = commands.add_parser("lab", help="open JupyterLab on the workbench notebook")
    lab.set_defaults(command=_lab)
    lab.add_argument("--port", type=_port, default=8888)
    lab.add_argument("--no-browser", action="store_true")

    new = commands.add_parser("new", help="make a folder with a workbench notebook to start from")
    new.set_defaults(command=_new)
    new.add_argument("directory", metavar="DIR")


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; choose one from 1 to {_LAST_PORT}")
    return int(text)


def _app(chosen: argparse.Namespace) -> int:
    _require_free("app", chosen.port)
    token = chosen.token or secrets.token_urlsafe(16)
    scratch = Scratch("app")  # a killed server leaves the folders of its kernels behind
    server = subprocess.Popen(
        [
            *_SERVER, "voila", str(notebooks_directory() / "workbench.ipynb"),
            "--no-browser", f"--port={chosen.port}", f"--Voila.ip={_HOST}", f"--token={token}",
            f"--theme={chosen.theme}", "--VoilaConfiguration.allow_theme_override=YES", "--Voila.log_level=ERROR",
            "--preheat_kernel=True", "--pool_size=1", "--template=workbench",
            "--VoilaConfiguration.multi_kernel_manager_class=workbench.widgets.page.voila.KernelManager",
            f"--KernelManager.cull_idle_timeout={_CLOSED_SECONDS}", *_encrypted(),
            f"--KernelManager.cull_interval={_CLOSED_SECONDS // 4}",
            "--VoilaConfiguration.extension_denylist=jupyterlab-plotly",  # our widgets bring the one copy of Plotly
        ],
        env={
            **os.environ, **scratch.environment(),
            "JUPYTER_PATH": os.pathsep.join([str(_share()), os.environ.get("JUPYTER_PATH", "")]),
        },
        pass_fds=scratch.descriptors,
        start_new_session=True,
    )  # fmt: skip
    with contextlib.closing(scratch), _ended_with_us(server):
        _wait_until_ready(server, f"http://{_HOST}:{chosen.port}/voila/static/voila.js")
        _wait_until_warm(server)
        _announce("The workbench", f"http://{_HOST}:{chosen.port}/?token={token}")
        return server.wait()


def _lab(chosen: argparse.Namespace) -> int:
    _require_free("lab", chosen.port)
    token = secrets.token_urlsafe(16)
    command = [*_SERVER, "jupyterlab", str(notebooks_directory() / "workbench.ipynb"), *_encrypted()]
    command += [f"--port={chosen.port}", f"--ServerApp.ip={_HOST}", "--ServerApp.port_retries=0"]
    command += [f"--IdentityProvider.token={token}", "--ServerApp.log_level=ERROR", "--LabApp.log_level=ERROR"]
    if chosen.no_browser or not os.environ.get("DISPLAY"):
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    server = subprocess.Popen(command, start_new_session=True)
    with _ended_with_us(server):
        _wait_until_ready(server, f"http://{_HOST}:{chosen.port}/api")
        _announce("JupyterLab", f"http://{_HOST}:{chosen.port}/lab/tree/workbench.ipynb?token={token}")
        return server.wait()


def _encrypted() -> list[str]:
    """So that others on this machine can't read what kernels are told, and kernels don't warn of that."""
    import zmq  # here: the other commands don't need it

    return ["--KernelManager.transport_encryption=auto"] if zmq.has("curve") else []


def _announce(what: str, address: str) -> None:
    print(f"\n{what} is ready at {address}\nStop it with Ctrl-C.", flush=True)


def _new(chosen: argparse.Namespace) -> int:
    directory = Path(chosen.directory)
    target = directory / "workbench.ipynb"
    if target.exists():
        raise WorkbenchError(f"{target} is there already; choose another folder")
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copy(notebooks_directory() / "workbench.ipynb", target)
    print(f"wrote {target}; open it with: jupyter lab {target}")
    return 0


def _require_free(command: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            other = port + 1 if port < _LAST_PORT else port - 1
            raise WorkbenchError(
                f"port {port} can't be used ({error.strerror}); choose another: PORT={other} make {command}, "
                f"or workbench {command} --port {other}"
            ) from None


def _wait_until_ready(server: subprocess.Popen, address: str) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_SECONDS
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has no way to this machine
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise WorkbenchError(f"the server ended with exit code {server.returncode}; its message is above")
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            with contextlib.suppress(urllib.error.HTTPError):  # any answer at all is what we wait for
                direct.open(address, timeout=2).close()
            return
        time.sleep(0.05)
    server.terminate()
    raise WorkbenchError(f"the server didn't answer within {_READY_TIMEOUT_SECONDS} s")


def _wait_until_warm(server: subprocess.Popen) -> None:
    """Wait until the kernel that Voila keeps for the first visitor has made the page and come to rest.

    Voila tells nobody about that, but it shows: the kernel has started its worker, and has nothing more to do. A page
    that is opened earlier takes as long as the kernel still needs.
    """
    deadline = time.monotonic() + _WARM_TIMEOUT_SECONDS
    used = None
    while time.monotonic() < deadline and server.poll() is None:
        before, used = used, _seconds_used_by_kernels(server.pid)
        if used is not None and before is not None and used - before < _QUIET_SHARE * _QUIET_SECONDS:
            return
        time.sleep(_QUIET_SECONDS)


def _seconds_used_by_kernels(server: int) -> float | None:
    """Processor time of the server and its kernels, their workers apart; None while no worker runs."""
    with contextlib.suppress(psutil.Error):  # one of them has ended meanwhile
        family = [psutil.Process(server), *psutil.Process(server).children(recursive=True)]
        workers = [process for process in family if "workbench.core.worker" in process.cmdline()]
        if workers:
            return sum(sum(process.cpu_times()[:2]) for process in family if process not in workers)
    return None


@contextlib.contextmanager
def _ended_with_us(server: subprocess.Popen):
    """End the server when this process is to end, and wait for its kernels to go.

    The server has a session of its own: a Ctrl-C at the terminal comes here only and reaches it once,
    as a plain request to stop. A second one would cut short how it ends its kernels.
    """
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # nohup keeps its effect
        signal.signal(signal.SIGHUP, lambda *_: server.terminate())
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
