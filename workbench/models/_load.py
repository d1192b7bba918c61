"""From the description of a workload to the workload in memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from workbench.datasets.cards import read
from workbench.errors import WorkloadError, unknown
from workbench.machine import memory
from workbench.models import (
    _advice,
    _check,
    _data,
    _digest,
    _factory,
    _task,
    _text,
    available,
    embedded,
    fetched,
    intake,
    loaders,
    named,
    not_yet,
    require,
    zoo,
)
from workbench.models.loaders import Tokenizer
from workbench.tasks import Counted
from workbench.workload import PAIRS, LoadedWorkload, Workload, at_a_time, is_auto

_REPEATED_EXAMPLES = 64
_ID_DIGITS = 12
"""48 bits: two of a thousand workloads of one's own have the same with a probability of 2 in a billion."""


@dataclass(frozen=True)
class _Model:
    """A model as found.

    ``weights`` is their digest where a card tells it, ``embedded`` what it belongs to, ``tokenizer`` what lies beside
    it and makes its inputs of texts.
    """

    name: str
    module: torch.nn.Module
    description: str
    weights: str | None = None
    embedded: zoo.Embedded | None = None
    tokenizer: Tokenizer | None = None


def load_workload(workload: Workload) -> LoadedWorkload:
    """See :func:`workbench.models.load`."""
    if workload.weights is not None and not _is_factory(workload.model):
        raise WorkloadError(
            f"weights={workload.weights!r} are for a 'module:factory' model only and {workload.display_name} is none; "
            "leave them out"
        )
    model = _find(workload)
    module, notes = intake.taken_in(model.module, own_copy=False)
    brought, call = (model.embedded if workload.data is None else None), workload.call
    if brought:
        (test, train), data_digest = brought.source.read(), brought.source.digest()
        read = _data.Read(test)
        if workload.train is not None:
            learned = _data.read(workload.train, "train")
            train, data_digest = learned.data, _digest.combine(data_digest, _digest.examples(learned.data))
            notes += learned.notes
    else:
        given = _text.tokenized(workload.data, workload.train, model.tokenizer, call)
        call = given.call
        read, train = _data.split(given.data, given.train)
        notes += [*filter(None, [given.note]), *read.notes]
    module, test, train, more = intake.fitted(module, read, train, call, workload.output)
    outputs = _check.outputs_of(module, test.at(torch.tensor([0, len(test) - 1])).inputs)
    test, train = (
        data.mapped(lambda part, what=what: _task.as_classes(outputs, part, what))
        for data, what in ((test, "data"), (train, "train"))
    )
    if not brought:
        data_digest = _digest.combine(_digest.examples(test), _digest.examples(train))
    metric, loss = workload.metric, workload.loss
    counted = Counted("pairs") if call == PAIRS else None
    if brought:
        metric, loss = _unless_asked(metric, brought.metric), _unless_asked(loss, brought.loss)
        counted = counted or brought.counted
    task, chosen = _task.task_of(outputs, test, train, metric, loss, counted)
    task = _task.of_probabilities(task, outputs, module, test.parts[0], loss)
    notes += [*more, *chosen]
    if random := _check.randomness(module, test.at(slice(at_a_time(test.inputs, _REPEATED_EXAMPLES))).inputs):
        notes.append(random)
    weights = model.weights or _digest.weights(module)
    asked = filter(None, [_digest.task(workload)])
    key = _digest.combine(_digest.architecture(module), weights, data_digest, *asked)
    return LoadedWorkload(
        name=workload.display_name,
        id=model.name if model.embedded and workload.is_a_name else key[:_ID_DIGITS],
        key=key,
        module=module,
        test=test,
        train=train,
        task=task,
        output_shape=tuple(outputs.shape[1:]),
        description=model.description,
        note="; ".join(notes),
        classes=tuple(map(str, workload.classes or (brought.classes if brought else ()))),
        decode=brought.decode if brought else model.tokenizer and model.tokenizer.text,
    )


def _unless_asked(given: Any, own: Any) -> Any:
    """What an embedded workload brings, where nothing else was asked for."""
    return own if is_auto(given) else given


def _find(workload: Workload) -> _Model:
    model = workload.model
    if isinstance(model, torch.nn.Module):
        name = type(model).__name__
        memory.refuse_beyond_memory(f"the model {name}", memory.COPIES_OF_MODEL * memory.module_bytes(model))
        return _Model(name, model, f"{name}, given in Python")
    if isinstance(model, type) and issubclass(model, torch.nn.Module):
        raise WorkloadError(f"the model is the class {model.__name__} itself; give an instance: {model.__name__}(…)")
    if not isinstance(model, (str, os.PathLike)):
        raise WorkloadError(
            f"the model is of type {type(model).__name__}; it can be a torch.nn.Module, the name of an embedded "
            f"workload, the path of {loaders.in_words()}, or 'module:factory'"
        )
    text, path = named(os.fspath(model)), Path(model)
    if text in embedded():
        return _embedded_model(text)
    if text in fetched.registered() or text in not_yet():
        require(text)
        return _fetched_model(text)
    if loader := loaders.find(path):
        if not path.exists():
            raise WorkloadError(f"the model {path} doesn't exist; give the path of {loaders.in_words()}")
        module = loader.read(path)
        return _Model(path.stem, module, f"from {path.name}", tokenizer=loader.tokenizer(path, module))
    _advice.refuse_weights(path)
    if _is_factory(model):
        return _Model(text.partition(":")[2], _factory.read(text, workload.weights), f"made by {text}")
    if path.exists() or os.sep in text or path.suffix:
        missing = "" if path.exists() else " and doesn't exist"
        raise WorkloadError(f"{path} is no model{missing}; give {loaders.in_words()}, or 'module:factory'")
    raise WorkloadError(unknown("workload", text, available()))


def _is_factory(model: Any) -> bool:
    """Whether it is written "module:factory" (and is no path that happens to hold a colon)."""
    if not isinstance(model, str) or loaders.find(model):
        return False
    return ":" in model and not Path(model).exists()


def _embedded_model(name: str) -> _Model:
    found = zoo.registered()[name]
    card = read(found.folder / f"{name}.json")
    module = found.architecture()
    module.load_state_dict(load_file(found.folder / card.files[0].name))
    return _Model(name, module, embedded()[name], weights=card.files[0].sha256, embedded=found)


def _fetched_model(name: str) -> _Model:
    thing = fetched.find(name)
    found = thing.workload()
    module = found.architecture()
    module.load_state_dict(load_file(thing.folder / f"{name}.safetensors"))
    return _Model(name, module, thing.description, embedded=found)
