"""Texts among a user's data: what the model's own tokenizer makes of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workbench.errors import WorkloadError
from workbench.models import _data
from workbench.models.loaders import Tokenizer
from workbench.workload import PAIRS, is_auto


@dataclass(frozen=True)
class Tokenized:
    """``data`` and ``train`` without texts, how the model is then called, and in words what was made of the texts."""

    data: Any
    train: Any
    call: str
    note: str = ""


@dataclass(frozen=True)
class _Texts:
    """``columns`` are one list of texts, or two where each example is a pair; ``beside`` is all else, by name."""

    columns: Sequence[list[str]]
    beside: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.columns[0])


def tokenized(data: Any, train: Any, tokenizer: Tokenizer | None, call: str) -> Tokenized:
    """Texts as named inputs, those of ``data`` and ``train`` of one length.

    Raises
    ------
    WorkloadError
        There are texts and no tokenizer, or not as many texts of each example.
    """
    sources = {"data": _opened(data, "data"), "train": _opened(train, "train")}
    found = {what: texts for what, source in sources.items() if (texts := _texts(source, what))}
    if not found:
        return Tokenized(**sources, call=call)
    if tokenizer is None:
        raise WorkloadError(
            f"{next(iter(found))} holds text and the model brings no tokenizer; give the folder that both were saved "
            "in with save_pretrained, or what a tokenizer makes of the text"
        )
    if len({len(texts.columns) for texts in found.values()}) > 1:
        raise WorkloadError("one of data and train holds single texts, the other pairs; give the same in both")
    columns = [list(chain(*column)) for column in zip(*(texts.columns for texts in found.values()), strict=True)]
    apart = call == PAIRS or (is_auto(call) and tokenizer.embeds and len(columns) == 2)
    inputs, note = tokenizer(columns, apart=apart)
    parts = {name: iter(tensor.split([len(texts) for texts in found.values()])) for name, tensor in inputs.items()}
    made = {what: {name: next(part) for name, part in parts.items()} | texts.beside for what, texts in found.items()}
    return Tokenized(**(sources | made), call=PAIRS if apart else call, note=note)


def _opened(source: Any, what: str) -> Any:
    return _data.npz(Path(source), what) if isinstance(source, str | os.PathLike) else source


def _texts(source: Any, what: str) -> _Texts | None:
    """The texts in one set of examples; ``None`` where there are none."""
    inputs, targets = _parted(source, what)
    columns, beside = _columns(inputs)
    if not columns:
        return None
    counts = [len(column) for column in columns]
    if len(counts) > 2 or len(set(counts)) > 1:
        told = " and ".join(map(str, counts))
        raise WorkloadError(f"{what} holds {told} texts; give one text of each example, or two of each")
    return _Texts(columns, beside if targets is None else {**beside, "targets": targets})


def _parted(source: Any, what: str) -> tuple[Any, Any]:
    """Inputs and targets, where ``source`` has a form that texts come in."""
    if _is_examples(source):
        source = _by_column(source)
    pair = isinstance(source, tuple | list) and len(source) == 2 and not _columns(source)[0]
    return _data.parted(source, what) if pair or isinstance(source, Mapping) else (source, None)


def _columns(inputs: Any) -> tuple[list[list[str]], dict[str, Any]]:
    """The texts among the inputs, and by name the others."""
    if isinstance(inputs, Mapping):
        named = {name: _as_texts(value) for name, value in inputs.items()}
        return [texts for texts in named.values() if texts], {name: inputs[name] for name in named if not named[name]}
    if texts := _as_texts(inputs):
        return [texts], {}
    columns = [_as_texts(each) for each in inputs] if isinstance(inputs, tuple) else []
    return (columns if all(columns) else []), {}


def _as_texts(value: Any) -> list[str]:
    """The strings that a list, an array or a column of a table holds; empty where it holds anything else."""
    if hasattr(value, "__array__") and not isinstance(value, torch.Tensor):
        array = np.asarray(value)
        value = array.tolist() if array.ndim == 1 and array.dtype.kind in "UTO" else []
    texts = isinstance(value, tuple | list) and all(isinstance(each, str) for each in value)
    return list(value) if texts else []


def _is_examples(source: Any) -> bool:
    """Whether it is a sequence of examples, each a tuple or dictionary with texts in it."""
    sequence = hasattr(source, "__getitem__") and hasattr(source, "__len__") and not hasattr(source, "__array__")
    if not sequence or isinstance(source, tuple | Mapping | torch.utils.data.IterableDataset) or not len(source):
        return False
    first = source[0]
    parts = first.values() if isinstance(first, Mapping) else first if isinstance(first, tuple) else ()
    return any(isinstance(each, str) for each in parts)


def _by_column(examples: Any) -> Any:
    rows = [examples[index] for index in range(len(examples))]
    if isinstance(rows[0], Mapping):
        return {name: [row[name] for row in rows] for name in rows[0]}
    return tuple(list(column) for column in zip(*rows, strict=True))
