"""The faster model, to take away."""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import traitlets as t

from workbench.errors import in_place
from workbench.recipe import Recipe
from workbench.widgets._base import Widget
from workbench.widgets.page import pump as _pump
from workbench.widgets.page.pump import Urgency
from workbench.workload import Workload


def archive_name(workload: Workload, recipe: Recipe) -> str:
    """What the archive of a variant is called: "fashion-cnn_prune-0.5_quantize-int8-static_native.zip"."""
    steps = [f"{step.do}-{getattr(step, step.main_option)}" for step in recipe.steps] or ["fp32"]
    words = [workload.display_name, *steps, recipe.place.engine]
    return "_".join(re.sub(r"[^\w.-]+", "-", word) for word in words) + ".zip"


class Downloads(Widget):
    """“Download model”: the files that ``save`` writes into a directory, handed to the browser.

    Parameters
    ----------
    save
        Called with a directory on a thread of its own; writes the files and returns their paths.
    """

    state = t.Enum(["unready", "ready", "working"], "unready").tag(sync=True)
    note = t.Unicode(help="what model.pt2 is, where it isn't the fast program itself").tag(sync=True)
    error = t.Unicode().tag(sync=True)
    saved = t.List(t.Dict(), help="name and size of the files last handed over").tag(sync=True)
    wanted = t.Int(help="how often “Download model” was pressed").tag(sync=True)

    def __init__(self, save: Callable[[Path], list[Path]] | None = None, **traits) -> None:
        self.save = save
        super().__init__(**traits)

    @t.observe("wanted")
    def _start(self, _change: t.Bunch) -> None:
        if self.save is None or self.state != "ready":
            return
        _pump.shared().put(self, Urgency.ANSWER, state="working", error="")
        threading.Thread(target=self._work, args=[self.save], name="save-model", daemon=True).start()

    def _work(self, save: Callable[[Path], list[Path]]) -> None:
        pump = _pump.shared()
        try:
            with tempfile.TemporaryDirectory(prefix="workbench-") as directory:
                files = [(path.name, path.read_bytes()) for path in save(Path(directory))]
        except Exception as error:  # whatever it was, the person waits for an answer
            pump.put(self, Urgency.ANSWER, error=f"the model couldn't be saved: {in_place(error)}", state="ready")
            return
        pump.call((id(self), "files"), lambda: self._hand_over(files), Urgency.ANSWER)

    def _hand_over(self, files: list[tuple[str, bytes]]) -> None:
        for name, content in files:
            self.send({"file": name}, buffers=[content])
        self.saved = [{"name": name, "size_bytes": len(content)} for name, content in files]
        self.state = "ready"
