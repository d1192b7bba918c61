"""A ``"module:factory"`` model with weights from a file."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from workbench.errors import WorkloadError, unknown
from workbench.machine.memory import COPIES_OF_MODEL, module_bytes, refuse_beyond_memory
from workbench.models import _weights
from workbench.plumbing.words import one_line


def read(name: str, weights: str | None) -> torch.nn.Module:
    """Call the factory ``"module:factory"`` and load the file ``weights`` into what it returns.

    The factory is called once more before that, on the meta device, to learn the model's size.

    Raises
    ------
    WorkloadError
        If there is no such factory, it fails or returns no module, the weights can't be read
        or don't fit the model, or the model is too large for memory.
    """
    if weights is not None:
        _weights.require_room(Path(weights), name)
    factory = _find(name)
    _refuse_too_large(name, factory)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # random weights, where none are given, are the same each time
        try:
            module = factory()
        except Exception as error:  # a user's code may raise anything
            raise WorkloadError(f"{name}() fails: {type(error).__name__}: {one_line(error)}") from error
    if not isinstance(module, torch.nn.Module):
        raise WorkloadError(f"{name}() returns {type(module).__name__}; it has to return a torch.nn.Module")
    if weights is not None:
        _fill(module, name, weights)
    return module


def _find(name: str) -> Callable[[], object]:
    module_name, _, attribute = name.partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as `python file.py` would: the user's own modules lie here
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        advice = ""
        if f"{module_name}.".startswith(f"{error.name}."):  # and not another one that it imports
            advice = "; run from the folder it lies in, or name that folder in PYTHONPATH"
        raise WorkloadError(
            f"the module {module_name!r} of {name!r} can't be imported: {one_line(error)}{advice}"
        ) from error
    except Exception as error:  # a user's module may raise anything while it is imported
        raise WorkloadError(
            f"the module {module_name!r} of {name!r} can't be imported: {type(error).__name__}: {one_line(error)}"
        ) from error
    factory = getattr(module, attribute, None)
    if not callable(factory):
        callables = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise WorkloadError(unknown(f"in {module_name!r} the factory", attribute, callables))
    return factory


def _refuse_too_large(name: str, factory: Callable[[], object]) -> None:
    try:
        with torch.device("meta"):
            module = factory()
    except Exception:  # not every factory can build without memory; the real call then says what is wrong
        return
    if isinstance(module, torch.nn.Module):
        refuse_beyond_memory(f"the model {name}", COPIES_OF_MODEL * module_bytes(module))


def _fill(module: torch.nn.Module, name: str, weights: str) -> None:
    wanted = module.state_dict()
    stored = _weights.renamed(_weights.read(Path(weights)), wanted)
    missing, surplus = sorted(wanted.keys() - stored.keys()), sorted(stored.keys() - wanted.keys())
    if missing or surplus:
        difference = f"lacks {missing[0]!r}" if missing else f"has {surplus[0]!r}, which the model lacks"
        count = len(missing) + len(surplus)
        raise WorkloadError(
            f"{weights} doesn't fit {name}: it {difference} ({count} names differ); give the model's own"
        )
    for key, tensor in stored.items():
        if tensor.shape != wanted[key].shape:
            raise WorkloadError(
                f"{weights} doesn't fit {name}: {key!r} is {list(tensor.shape)} there and {list(wanted[key].shape)} in "
                "the model; give the model's own weights"
            )
    module.load_state_dict(stored)
