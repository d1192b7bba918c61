"""Keras 3: a ``.keras`` file, or a model given in Python, as layers of torch."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from workbench.errors import WorkloadError
from workbench.machine.memory import COPIES_OF_MODEL, refuse_beyond_memory
from workbench.models.loaders._base import FileLoader
from workbench.models.loaders.keras.convert import converted
from workbench.plumbing.words import one_line


class Keras(FileLoader):
    """What ``model.save`` writes, read without running code from it."""

    title = "a .keras file"
    suffix = ".keras"
    libraries = ("keras",)

    def read(self, path: Path) -> torch.nn.Module:
        """The model, which takes its inputs in their order and gives what it gives in Keras.

        Raises
        ------
        WorkloadError
            If keras is missing or runs on something else than torch, or the file is none of its, holds code of its own,
            or is too large for memory.
        """
        _require_plain_layers(path)
        keras = _keras(path)
        try:
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # the reader raises many unrelated kinds
            raise WorkloadError(
                f"{path} can't be read: {one_line(error)}; give the model in Python: wb.Workload(model, data)"
            ) from error
        return self.adopted(model).eval()

    def adopted(self, model: Any) -> Any:
        keras = sys.modules.get("keras")
        return converted(model) if keras and isinstance(model, keras.Model) else model


def _keras(path: Path) -> ModuleType:
    if importlib.util.find_spec("keras") is None:
        raise WorkloadError(f"reading {path} needs keras; pip install 'model-workbench[keras]'")
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "torch"
    import keras

    if keras.backend.backend() != "torch":
        raise WorkloadError(
            f"keras runs on {keras.backend.backend()} in this process, and torch is needed; set KERAS_BACKEND=torch "
            "before it is imported"
        )
    return keras


def _require_plain_layers(path: Path) -> None:
    """Raise :class:`WorkloadError` where the file is no archive of Keras, or has code in it that would be run."""
    try:
        with zipfile.ZipFile(path) as archive:
            size_bytes = sum(info.file_size for info in archive.infolist())
            kinds = set(_kinds(json.loads(archive.read("config.json"))))
    except (zipfile.BadZipFile, KeyError, ValueError):
        raise WorkloadError(f"{path} is no .keras file; store the model with model.save('model.keras')") from None
    if "Lambda" in kinds:
        raise WorkloadError(
            f"{path} holds a Lambda layer, whose code would run when it is loaded; where you trust it, load it and "
            "give the model: wb.Workload(model, data)"
        )
    refuse_beyond_memory(f"the model {path}", COPIES_OF_MODEL * size_bytes)


def _kinds(config: Any) -> list[str]:
    """The class names anywhere in a model's description."""
    if isinstance(config, list):
        return [kind for each in config for kind in _kinds(each)]
    if not isinstance(config, dict):
        return []
    return [str(config.get("class_name")), *_kinds(list(config.values()))]
