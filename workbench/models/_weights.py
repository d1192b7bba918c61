"""Weights by name, as files hold them: safetensors, or a state dictionary that ``torch.save`` wrote."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file

from workbench.errors import WorkloadError
from workbench.machine.memory import COPIES_OF_MODEL, refuse_beyond_memory
from workbench.models._files import STATE_DICTIONARIES, is_torchscript, safetensors_header, stored_bytes
from workbench.plumbing.words import one_line


def require_room(path: Path, name: str) -> None:
    """Raise :class:`WorkloadError` where the weights of ``name`` are no such file, or too large for memory."""
    if path.suffix.lower() in STATE_DICTIONARIES:
        if not path.is_file():
            raise WorkloadError(f"the weights {path} don't exist; give the path of a .safetensors or .pth file")
        stored = path.stat().st_size
    else:
        stored = stored_bytes(safetensors_header(path))
    refuse_beyond_memory(f"the model {name}", COPIES_OF_MODEL * stored)


def read(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of the file by name, without running code from it.

    Of a checkpoint that holds other things too, the one state dictionary in it.

    Raises
    ------
    WorkloadError
        In one line: what it can't be read for.
    """
    if path.suffix.lower() not in STATE_DICTIONARIES:
        return load_file(path)
    advice = "store its weights: torch.save(model.state_dict(), 'weights.pth')"
    if is_torchscript(path):
        raise WorkloadError(f"{path} is TorchScript; {advice.replace('model', f'torch.jit.load({str(path)!r})')}")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise WorkloadError(
            f"{path} is no state dictionary, or holds what only running code from it would load; {advice}"
        ) from None
    except Exception as error:  # the reader raises many unrelated kinds
        raise WorkloadError(f"{path} can't be read: {one_line(error)}; {advice}") from error
    parts = [found, *found.values()] if isinstance(found, Mapping) else []
    states = [part for part in parts if _is_state(part)]
    if len(states) != 1:
        raise WorkloadError(f"{path} holds {len(states) or 'no'} state dictionaries, and one is needed; {advice}")
    return dict(states[0])


def renamed(stored: Mapping[str, torch.Tensor], wanted: Collection[str]) -> dict[str, torch.Tensor]:
    """``stored`` by the model's own names, where all of its names, or all of the model's, begin with one more part.

    What trains a model often wraps it: "module.fc.weight" is the "fc.weight" of the model inside.
    """
    surplus, lacking = _prefix(stored), _prefix(wanted)
    for names in (
        {name: name.removeprefix(surplus) for name in stored},
        {name: lacking + name for name in stored},
    ):
        if set(names.values()) == set(wanted):
            return {names[name]: tensor for name, tensor in stored.items()}
    return dict(stored)


def _is_state(thing: object) -> bool:
    return isinstance(thing, Mapping) and bool(thing) and all(isinstance(each, torch.Tensor) for each in thing.values())


def _prefix(names: Collection[str]) -> str:
    """The parts that all names begin with, with the dot behind them."""
    parts = zip(*(name.split(".")[:-1] for name in names), strict=False)
    return "".join(f"{each[0]}." for each in itertools.takewhile(lambda each: len(set(each)) == 1, parts))
