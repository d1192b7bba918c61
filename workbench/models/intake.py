"""The way in for a module of one's own, the same for ``wb.run``, ``wb.show`` and ``wb.prepare``."""

from __future__ import annotations

import contextlib
import copy
import sys
from collections.abc import Iterator
from typing import Any

import torch

from workbench.errors import WorkloadError, unknown
from workbench.machine import memory
from workbench.models import _check, _data, loaders
from workbench.models._data import Read
from workbench.models._keywords import keywords, require_as_many, require_keywords
from workbench.models.calling import Calling, adapted, numbered
from workbench.models.folding import folded_parametrizations
from workbench.plumbing.words import one_line
from workbench.workload import AUTO, CALLS, PAIRS, Data, is_auto


def _wrappers() -> Iterator[tuple[type, str]]:
    """What puts itself around a module and does the same, and the attribute that holds the module."""
    yield torch.nn.DataParallel, "module"
    yield torch.nn.parallel.DistributedDataParallel, "module"
    if dynamo := sys.modules.get("torch._dynamo"):  # takes seconds to import; here already if anything was compiled
        yield dynamo.OptimizedModule, "_orig_mod"


def unwrapped(module: torch.nn.Module) -> torch.nn.Module:
    """The module that does the computing: out of ``DataParallel`` and ``torch.compile``, with plain layers and weights.

    Weights that are computed of others at each call (weight norm, spectral norm) are computed once, on a copy.

    Raises
    ------
    WorkloadError
        It is TorchScript, which can't be exported.
    """
    while holder := next((name for kind, name in _wrappers() if isinstance(module, kind)), None):
        module = getattr(module, holder)
    if isinstance(module, torch.jit.ScriptModule):
        raise WorkloadError(
            "the model is TorchScript, which can't be exported or changed; give the nn.Module it was made from, or a "
            "file that torch.export.save makes of torch.export.export(module, (example,), "
            "dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))"
        )
    return folded_parametrizations(loaders.adopted(module))


def taken_in(module: torch.nn.Module, *, own_copy: bool) -> tuple[torch.nn.Module, list[str]]:
    """The module in eval mode on the CPU with finite float32 weights, and what was done to it; the given one stays.

    ``own_copy``: copied even where nothing has to be changed, since whoever gave it goes on using it.

    Raises
    ------
    WorkloadError
        In one line: it is TorchScript, has no weights in memory, can't be copied, or its weights hold NaN.
    """
    module = unwrapped(module)
    tensors = [*module.parameters(), *module.buffers()]
    kinds = {tensor.dtype for tensor in tensors if tensor.is_floating_point()}
    devices = {tensor.device.type for tensor in tensors}
    if "meta" in devices:
        raise WorkloadError("the model's weights are on the meta device, so it has none; load them before giving it")
    others = sorted(str(kind).removeprefix("torch.") for kind in kinds - {torch.float32})
    as_it_is = not others and not devices - {"cpu"} and not any(part.training for part in module.modules())
    if own_copy or not as_it_is:
        module = _copied(module)
    _check.finite_weights(module)
    return module, [f"{' and '.join(others)} weights were converted to float32"] if others else []


def _copied(module: torch.nn.Module) -> torch.nn.Module:
    name = type(module).__name__
    memory.refuse_beyond_memory(f"a copy of the {name}", memory.COPIES_OF_MODEL * memory.module_bytes(module))
    try:
        return copy.deepcopy(module).cpu().float().eval()
    except Exception as error:  # a user's module may hold anything
        raise WorkloadError(
            f"{name} can't be copied: {one_line(error)}; give it on the CPU, as float32 in eval mode, or store it as "
            ".pt2"
        ) from error


def fitted(
    module: torch.nn.Module, read: Read, train: Data, call: str, output: Any
) -> tuple[torch.nn.Module, Data, Data, list[str]]:
    """The module as one that takes the data's tensors one by one and gives the tensor that counts, and its data.

    Whole numbers stay as they are where the model takes them, else they become float32; the words say so.

    Raises
    ------
    WorkloadError
        It can't be called so, takes other inputs, or what it gives is no float tensor [batch, …].
    """
    module = _called(module, read, call, output)
    if requires := getattr(module, "require", None):  # a file that was exported for inputs of one shape
        for part in (*read.data.parts, *train.parts):
            requires(*part.inputs)
    refused = _refusal(module, read.data)
    if refused is None or all(each.is_floating_point() for each in read.data.inputs):
        if refused:
            raise refused
        return module, read.data, train, []
    notes: list[str] = []
    test, train = (
        data.mapped(lambda part: Data(_data.floats(part.inputs, notes), part.targets)) for data in (read.data, train)
    )
    if again := _refusal(module, test):
        raise again if "dtype" in str(refused) else refused
    return module, test, train, list(dict.fromkeys(notes))


def labelled(data: Data, targets: Any) -> Data:
    """Examples to train on; :class:`WorkloadError` where there aren't as many targets."""
    return _data.read((data.inputs, _data.tensor(targets, "calibration")), "calibration").data


def example_of(value: Any, what: str) -> Read:
    """Inputs alone: a tensor or array [batch, …], or a tuple or dictionary of several.

    Raises
    ------
    WorkloadError
        They are no arrays of real numbers, have no first dimension for the batch, or hold NaN.
    """
    if not isinstance(value, tuple | dict):
        value = _data.tensor(value, what)
    return _data.read((value, None), what)


def _called(module: torch.nn.Module, read: Read, call: str, output: Any) -> torch.nn.Module:
    """The module, adapted where its inputs have names or its output is more than a tensor."""
    count, names, output = len(read.data.inputs), read.names, numbered(module, output)
    if call not in (AUTO, *CALLS):
        raise WorkloadError(unknown("call", call, (AUTO, *CALLS)))
    if call == "keywords" and not names:
        raise WorkloadError("call='keywords' needs inputs with names and these have none; give a dictionary of them")
    if call == PAIRS and names and set(names) <= set(keywords(module)):  # each input holds both of a pair
        if odd := [list(each.shape) for each in read.data.inputs if each.shape[1:2] != (2,)]:
            raise WorkloadError(f"call='pairs' needs named inputs of shape [N, 2, …], both of each pair, not {odd[0]}")
    elif call in ("one", PAIRS) and count != (wanted := {"one": 1, PAIRS: 2}[call]):
        raise WorkloadError(f"call={call!r} needs {wanted} input{'s' * (wanted > 1)} and the data have {count}")
    elif call in ("one", "positional", PAIRS):
        names = ()
    calling = Calling(names, pairs=call == PAIRS, output=output)
    if names:
        require_keywords(module, calling, read.data.at(slice(2)).inputs)
    elif not calling.pairs:
        require_as_many(module, count)
    plain = not names and not calling.pairs and is_auto(output)
    return module if plain and _gives_a_tensor(module, read.data) else adapted(module, calling, count)


def _gives_a_tensor(module: torch.nn.Module, data: Data) -> bool:
    """Whether its output needn't be picked from anything, as far as two examples tell: what fails is told later."""
    with torch.no_grad(), contextlib.suppress(Exception):
        return isinstance(module(*data.at(slice(2)).inputs), torch.Tensor)
    with torch.no_grad(), contextlib.suppress(Exception):
        floats = (each.float() for each in data.at(slice(2)).inputs)
        return isinstance(module(*floats), torch.Tensor)
    return True


def _refusal(module: torch.nn.Module, data: Data) -> WorkloadError | None:
    """What is wrong when it is called with two of the examples."""
    try:
        for part in data.parts:
            _check.outputs_of(module, part.at(torch.tensor([0, len(part) - 1])).inputs)
    except WorkloadError as error:
        return error
    return None
