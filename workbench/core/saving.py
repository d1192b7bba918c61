"""A variant written down: the model in every form it can be taken away in, its recipe and its receipt."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from workbench.core.shelf import Prepared
from workbench.engines import Runner
from workbench.engines._program import how_to_load
from workbench.errors import WorkbenchError
from workbench.measure import layers
from workbench.plumbing.words import size
from workbench.recipe import Recipe
from workbench.workload import LoadedWorkload


def save(
    workload: LoadedWorkload, recipe: Recipe, prepared: Prepared, others: Iterable[Runner], directory: str
) -> list[Path]:
    """Write ``model.pt2``, where it can be made ``model.onnx``, ``recipe.json`` and ``receipt.json``; their paths.

    ``others`` run the same variant and may save it in forms that ``prepared`` can't; the first that does is taken.
    Raises :class:`WorkbenchError` where the folder can't be written to or hasn't the room.
    """
    target = Path(directory)
    require_writable(target)
    target.mkdir(parents=True, exist_ok=True)
    require_room(target, prepared)
    paths = [Path(path) for path in prepared.runner.save(target)]
    for runner in others:
        paths += [path for path in map(Path, runner.save(target)) if path not in paths]
    rows = layers.receipt(workload.module, prepared.variant, prepared.runner, workload.example(recipe.place.batch))
    receipt = {
        "workload": workload.name,
        "load": how_to_load(prepared.variant),
        "layers": [row.model_dump(mode="json") for row in rows],
    }
    for name, text in (("recipe.json", recipe.to_json(indent=1)), ("receipt.json", json.dumps(receipt, indent=1))):
        (target / name).write_text(text)
        paths.append(target / name)
    return paths


def require_writable(directory: Path | str) -> None:
    """Raise :class:`WorkbenchError` where no file can be written to the folder, or to the one it would be made in."""
    wanted = Path(directory).absolute()
    there = next(folder for folder in (wanted, *wanted.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise WorkbenchError(
            f"nothing can be saved in {str(directory)!r} ({error.strerror}); choose another folder"
        ) from None


def require_room(directory: Path, prepared: Prepared) -> None:
    """Raise :class:`WorkbenchError` where the disk has too little left for what saving may write."""
    free_bytes, needed_bytes = shutil.disk_usage(directory).free, 4 * prepared.size_bytes
    if free_bytes < needed_bytes:
        raise WorkbenchError(
            f"{directory} has {size(free_bytes)} left and saving the model needs {size(needed_bytes)}; "
            "free some space or choose another folder"
        )
