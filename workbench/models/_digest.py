"""Equal keys for equal workloads: sha256 over architecture, weights and data."""

from __future__ import annotations

import hashlib
import inspect
import json
from functools import partial
from types import CodeType, ModuleType
from typing import Any

import torch

from workbench.workload import Data, Workload, is_auto

_DEEPEST = 4
"""How far what a function reads is followed."""
_SETTINGS = (int, float, str, bool, type(None), torch.dtype, torch.Size)


def combine(*parts: str) -> str:
    """One digest of several."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def architecture(module: torch.nn.Module) -> str:
    """A digest of the layers, their plain settings, and the code of every class that isn't torch's own.

    The code is in it because a notebook cell may define a class anew under its old name.
    """
    digest = hashlib.sha256()
    for name, part in module.named_modules():
        kind = type(part)
        settings = {key: value for key, value in vars(part).items() if _is_setting(key, value)}
        digest.update(repr((name, kind.__module__, kind.__qualname__, sorted(settings.items()))).encode())
        if isinstance(part, torch.fx.GraphModule) or hasattr(part, "graph"):
            digest.update(str(part.graph).encode())
        digest.update(repr([_code(each) for each in _own_classes(kind)]).encode())
    return digest.hexdigest()


def weights(module: torch.nn.Module) -> str:
    """A digest of all parameters and buffers by name, also of buffers that aren't stored."""
    stored = module.state_dict()
    return _tensors([*stored.items(), *((name, each) for name, each in module.named_buffers() if name not in stored)])


def examples(data: Data) -> str:
    """A digest of inputs and targets."""
    if len(data.parts) > 1:
        return combine(*map(examples, data.parts))
    if len(data.inputs) == 1 and data.targets is not None:
        return _tensors([("inputs", data.inputs[0]), ("labels", data.targets)])  # as when there was nothing else
    return _tensors([*enumerate(data.inputs), ("targets", data.targets)])


def task(workload: Workload) -> str:
    """A digest of what was asked for as the task; "" where nothing was."""
    if all(map(is_auto, workload.asked_task)):
        return ""
    return hashlib.sha256(repr([_said(each) for each in workload.asked_task]).encode()).hexdigest()


def _said(given: Any, depth: int = 0) -> Any:
    """What a name, a number, a function or another object of the user's says, equal in another process.

    A function also by what it was made with: defaults, what it closes over, and what of its module it reads.
    """
    if isinstance(given, _SETTINGS):
        return repr(given)
    if isinstance(given, torch.Tensor):
        return _tensors([("", given)])
    if depth == _DEEPEST or isinstance(given, ModuleType | type):
        return _kind(given)
    if isinstance(given, partial):
        return [_said(each, depth + 1) for each in (given.func, given.args, sorted(given.keywords.items()))]
    if code := getattr(given, "__code__", None):
        held = {
            "defaults": given.__defaults__ or (),
            "keywords": sorted((given.__kwdefaults__ or {}).items()),
            "closure": list(inspect.getclosurevars(given).nonlocals.items()),
            "module": [given.__globals__[name] for name in code.co_names if name in given.__globals__],
        }
        return _stable(code), [(name, _said(value, depth + 1)) for name, value in held.items()]
    if isinstance(given, list | tuple):
        return [_said(each, depth + 1) for each in given]
    settings = {key: value for key, value in getattr(given, "__dict__", {}).items() if _is_setting(key, value)}
    return _kind(given), sorted(settings.items()), [_code(each) for each in _own_classes(type(given))]


def _kind(given: Any) -> str:
    """The name of a module, a class or a function, and of other objects that of their class."""
    if isinstance(given, ModuleType):
        return given.__name__
    named = given if hasattr(given, "__qualname__") else type(given)
    return f"{named.__module__}.{named.__qualname__}"


def _tensors(named: Any) -> str:
    digest = hashlib.sha256()
    for name, tensor in named:
        if not isinstance(tensor, torch.Tensor):  # a module's extra state
            digest.update(repr((name, tensor)).encode())
            continue
        digest.update(repr((name, tensor.dtype, tuple(tensor.shape))).encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(memoryview(flat.view(torch.uint8).numpy()) if flat.numel() else b"")
    return digest.hexdigest()


def _is_setting(key: str, value: Any) -> bool:
    if key.startswith("_") or key == "training":
        return False
    if isinstance(value, (tuple, list)):
        return all(isinstance(each, _SETTINGS) for each in value)
    return isinstance(value, _SETTINGS)


def _own_classes(kind: type) -> list[type]:
    return [each for each in kind.__mro__ if each is not object and each.__module__.partition(".")[0] != "torch"]


def _code(kind: type) -> list[tuple]:
    functions = [(name, value) for name, value in sorted(vars(kind).items()) if hasattr(value, "__code__")]
    return [(name, _stable(function.__code__)) for name, function in functions]


def _stable(code: CodeType) -> tuple:
    """What a piece of code does, without where it was written."""
    constants = [_stable(each) if isinstance(each, CodeType) else repr(each) for each in code.co_consts]
    return (code.co_code, code.co_names, code.co_varnames, constants)
