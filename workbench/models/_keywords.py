"""Whether a model takes inputs by the names they have, told with the nearest names where it doesn't."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import re
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from workbench.errors import WorkloadError, unknown
from workbench.models.calling import Calling
from workbench.workload import Inputs

_UNEXPECTED = re.compile(r"(?P<callee>[^ ]+)\(\) got an unexpected keyword argument '(?P<name>[^']+)'")
"""What Python says of a call that hands on a keyword in vain."""


def keywords(module: torch.nn.Module) -> list[str]:
    """The names of the inputs that forward takes, those alone that it spells out."""
    return _spelled_out(module.forward)


def require_as_many(module: torch.nn.Module, count: int) -> None:
    """Raise :class:`WorkloadError` where forward takes fewer inputs by position than ``count``."""
    parameters = inspect.signature(module.forward).parameters.values()
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return
    taken = sum(each.kind is not each.KEYWORD_ONLY and each.kind is not each.VAR_KEYWORD for each in parameters)
    if taken < count:
        advice = "where it embeds each of a pair, give call='pairs'" if (taken, count) == (1, 2) else "give as many"
        inputs = "1 input" if taken == 1 else f"{taken} inputs"
        raise WorkloadError(f"{_forward(module)} takes {inputs} and the data have {count}; {advice}")


def require_keywords(module: torch.nn.Module, calling: Calling, inputs: Inputs) -> None:
    """Raise :class:`WorkloadError` with the nearest names where the module doesn't take an input by its name.

    What forward does with those that it takes as ``**kwargs`` is told by calling it with a few examples, ``inputs``.
    """
    known = keywords(module)
    others = [name for name in calling.names if name not in known]
    if any(each.kind is each.VAR_KEYWORD for each in inspect.signature(module.forward).parameters.values()):
        _require_further_in(module, calling, inputs)
        for name in others:
            _require_effect(module, calling, inputs, name)
    elif others:
        raise WorkloadError(f"{_forward(module)} doesn't take {others[0]!r}: {unknown('input', others[0], known)}")


def _require_further_in(module: torch.nn.Module, calling: Calling, inputs: Inputs) -> None:
    """The same of what forward hands them on to."""
    try:
        with torch.no_grad():
            calling.outputs(module, inputs)
    except TypeError as error:
        said = _UNEXPECTED.search(str(error))
        if said and said["name"] in calling.names:
            known = _taken_by(said["callee"], module, error)
            nearest = unknown("input", said["name"], known) if known else "leave it out, or give it another name"
            raise WorkloadError(
                f"{_forward(module)} hands {said['name']!r} on to {said['callee']}, which doesn't take it: {nearest}"
            ) from error
    except KeyError as error:
        raise WorkloadError(
            f"{_forward(module)}, given {' and '.join(calling.names)}, looks for a key {error} that isn't there; if it "
            "is one of the inputs, call it so"
        ) from error
    except Exception:
        pass  # what else is wrong with the call has words of its own, later


def _require_effect(module: torch.nn.Module, calling: Calling, inputs: Inputs, name: str) -> None:
    """Refuse a name that is nearly one that forward spells out, where the outputs are the same without it."""
    near = difflib.get_close_matches(name, sorted(set(keywords(module)) - set(calling.names)), n=1)
    if near and _same_without(module, calling, inputs, name):
        raise WorkloadError(f"{_forward(module)} does nothing with the input {name!r}; did you mean {near[0]}?")


def _same_without(module: torch.nn.Module, calling: Calling, inputs: Inputs, name: str) -> bool:
    kept = {key: value for key, value in zip(calling.names, inputs, strict=True) if key != name}
    with torch.no_grad(), contextlib.suppress(Exception):  # it may well fail without it
        without = replace(calling, names=tuple(kept)).outputs(module, tuple(kept.values()))
        return torch.equal(without, calling.outputs(module, inputs))
    return False


def _taken_by(callee: str, module: torch.nn.Module, error: TypeError) -> list[str]:
    """The names that a callee takes: the forward of a part of the module, or what the line that called it knows."""
    forwards = (part.forward for part in module.modules())
    if found := next((each for each in forwards if each.__qualname__ == callee), None):
        return _spelled_out(found)
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    found = frame.f_globals.get(callee)
    return _spelled_out(found) if callable(found) else []


def _spelled_out(function: Callable[..., Any]) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [each.name for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]


def _forward(module: torch.nn.Module) -> str:
    return f"forward of {type(module).__name__}"
