"""A variant written down: the model in every form it can be taken away in, with what is needed to trust and use it."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workbench import engines
from workbench.core.offer import libraries
from workbench.core.report import report
from workbench.core.script import INPUTS, SCRIPT, script
from workbench.core.shelf import Prepared
from workbench.engines import Runner
from workbench.errors import WorkbenchError
from workbench.machine import identity
from workbench.measure import layers
from workbench.plumbing.words import size
from workbench.receipt import LayerReceipt, Result
from workbench.recipe import Recipe
from workbench.workload import LoadedWorkload, rows

ARCHIVE = ".zip"
_EXAMPLES = 8
_TIMES_THE_MODEL = 8
"""Three forms, of which ONNX may need twice the bytes, and the archive of them all."""


@dataclass(frozen=True)
class TakeAway:
    """A variant, and what was measured of it where that is known.

    ``others`` run the same variant and may save it in forms that ``prepared`` can't; the first that does is taken.
    """

    workload: LoadedWorkload
    recipe: Recipe
    prepared: Prepared
    others: Iterable[Runner] = ()
    result: Result | None = None

    def save(self, target: Path) -> list[Path]:
        """Write the models, ``recipe.json``, ``receipt.json``, ``report.html``, some inputs and ``run.py``; the paths.

        ``target`` is a folder, or a ``.zip`` that holds them all. Raises :class:`WorkbenchError` where nothing can be
        written there or there isn't the room.
        """
        require_writable(target)
        packed = target.suffix == ARCHIVE
        folder = target.parent if packed else target
        folder.mkdir(parents=True, exist_ok=True)
        require_room(folder, self.prepared)
        if not packed:
            return self._write(target)
        with tempfile.TemporaryDirectory(dir=folder) as unpacked:
            self._write(Path(unpacked))
            shutil.make_archive(str(target.with_suffix("")), "zip", unpacked)
        return [target]

    def _write(self, folder: Path) -> list[Path]:
        models = [Path(path) for path in self.prepared.runner.save(folder)]
        for runner in self.others:
            models += [path for path in map(Path, runner.save(folder)) if path not in models]
        inputs = rows(self.workload.test.inputs, slice(_EXAMPLES))
        np.savez_compressed(folder / INPUTS, **{f"input_{n}": each.numpy() for n, each in enumerate(inputs)})
        receipt = self._receipt()
        texts = {
            SCRIPT: script(_exports(models), self.workload.task.metric, self.prepared.runner(*inputs)),
            "recipe.json": self.recipe.to_json(indent=1),
            "receipt.json": json.dumps(
                {"workload": self.workload.name, "layers": [row.model_dump(mode="json") for row in receipt]}, indent=1
            ),
            "report.html": self._report(models, receipt),
        }
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        return [*models, *(folder / name for name in (INPUTS, *texts))]

    def _receipt(self) -> tuple[LayerReceipt, ...]:
        if self.result is not None:
            return self.result.receipt
        example = self.workload.example(self.recipe.place.batch)
        return layers.receipt(self.workload.module, self.prepared.variant, self.prepared.runner, example)

    def _report(self, models: list[Path], receipt: tuple[LayerReceipt, ...]) -> str:
        recipe, result = self.recipe, self.result
        here = result.environment if result else identity.environment(recipe.place.threads, recipe.seed, libraries())
        sizes = [(path.name, path.stat().st_size) for path in models]
        return report(self.workload.name, recipe, sizes, receipt, here, result)


def _exports(models: list[Path]) -> list[engines.Export]:
    known = {export.name: export for engine in engines.registered().values() for export in engine.exports}
    return [known[path.name] for path in models]


def require_writable(target: Path | str) -> None:
    """Raise :class:`WorkbenchError` where no file can be written to the folder, or to the one it would be made in.

    Of a ``.zip``, that is the folder it lies in.
    """
    wanted = Path(target).absolute()
    if wanted.suffix == ARCHIVE:
        wanted = wanted.parent
    there = next(folder for folder in (wanted, *wanted.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise WorkbenchError(
            f"nothing can be saved in {str(target)!r} ({error.strerror}); choose another folder"
        ) from None


def require_room(directory: Path, prepared: Prepared) -> None:
    """Raise :class:`WorkbenchError` where the disk has too little left for what saving may write."""
    free_bytes, needed_bytes = shutil.disk_usage(directory).free, _TIMES_THE_MODEL * prepared.size_bytes
    if free_bytes < needed_bytes:
        raise WorkbenchError(
            f"{directory} has {size(free_bytes)} left and saving the model needs {size(needed_bytes)}; "
            "free some space or choose another folder"
        )
