"""A user's data, in any of its forms, as tensors: floats as float32, whole numbers as they are."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workbench.errors import WorkloadError
from workbench.machine.memory import refuse_beyond_memory
from workbench.models._check import finite
from workbench.workload import Data, Inputs, MixedData

SET_ASIDE_EVERY = 5
FORMS = (
    "(inputs, targets) or inputs alone, as tensors or arrays [N, …] or tuples or dictionaries of them, an .npz of "
    "them, a Dataset of such pairs, or a DataLoader"
)
_TARGETS = ("labels", "targets", "label", "target")
"""What a dictionary or an .npz calls its targets."""

_STREAM_BYTES, _STREAM_EXAMPLES = 256 * 2**20, 100_000
"""What is read at most of data whose end isn't known."""


@dataclass(frozen=True)
class Read:
    """Examples as read. ``names`` are the inputs' keys, empty where they have none; ``notes`` what was assumed."""

    data: Data
    names: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)


def split(data: Any, train: Any) -> tuple[Read, Data]:
    """Read the examples to measure on and those to learn from.

    Raises
    ------
    WorkloadError
        If either can't be read, is empty, or holds NaN; if they don't have the same inputs; or if there are too few to
        set some aside.
    """
    if data is None:
        raise WorkloadError(f"a model of your own needs data: {FORMS}")
    test = read(data, "data")
    if train is not None:
        learned = read(train, "train")
        if learned.names != test.names or len(learned.data.inputs) != len(test.data.inputs):
            raise WorkloadError(
                f"train has {_inputs_in_words(learned)} and data {_inputs_in_words(test)}; give the same"
            )
        notes = [*test.notes, *(note for note in learned.notes if note not in test.notes)]
        return Read(test.data, test.names, notes), learned.data
    count = len(test.data)
    if count < SET_ASIDE_EVERY:
        raise WorkloadError(
            f"{_examples(count)} too few to set every fifth aside for calibration; give more, or train= as well"
        )
    aside = torch.arange(count) % SET_ASIDE_EVERY == SET_ASIDE_EVERY - 1
    learned = test.data.at(aside)
    note = f"every fifth example ({len(learned)} of {count}) is set aside for calibration and training"
    return Read(test.data.at(~aside), test.names, [*test.notes, note]), learned


def read(source: Any, what: str) -> Read:
    """Read one set of examples; ``what`` names it in messages. Batches of a loader that differ in shape keep theirs."""
    notes: list[str] = []
    if isinstance(source, torch.utils.data.DataLoader):
        groups = _by_shape(_batches(source, what, notes), what)
        if len(groups) > 1:
            return _mixed([_of_one_shape(_joined(group, what, torch.cat), what, notes) for group in groups], what)
        return _of_one_shape(_joined(chain.from_iterable(groups), what, torch.cat), what, notes)
    return _of_one_shape(_all(source, what, notes), what, notes)


def _by_shape(batches: Iterable[tuple[Any, Any]], what: str) -> list[list[tuple[Any, Any]]]:
    """The batches of each shape, those that hold the most examples first."""
    groups: dict[tuple, list[tuple[Any, Any]]] = {}
    for batch in batches:
        groups.setdefault(tuple(each.shape[1:] for each in _flat(batch, what)), []).append(batch)
    return sorted(groups.values(), key=lambda group: -sum(len(_flat(batch, what)[0]) for batch in group))


def _mixed(reads: list[Read], what: str) -> Read:
    """Examples of several shapes, each read by itself."""
    kinds = {(each.names, len(each.data.inputs), each.data.targets is None) for each in reads}
    ranks = {tuple(tensor.dim() for tensor in each.data.inputs) for each in reads}
    if len(kinds) > 1 or len(ranks) > 1:
        raise WorkloadError(
            f"the batches of {what} differ in more than the sizes of their tensors; give the same in each"
        )
    data = MixedData.of(each.data for each in reads)
    shape = " and ".join(str(["N", *tensor.shape[1:]]).replace("'", "") for tensor in data.inputs)
    note = (
        f"{what} has batches of {len(reads)} shapes: quality and training take each as it is, latency and calibration "
        f"go by {shape}, which {len(reads[0].data)} of {len(data)} examples have"
    )
    return Read(data, reads[0].names, [*dict.fromkeys(chain.from_iterable(each.notes for each in reads)), note])


def _of_one_shape(source: tuple[Any, Any], what: str, notes: list[str]) -> Read:
    inputs, targets = source
    names, tensors = _named(inputs, what)
    tensors = tuple(_as_input(each, _one(names, at, what), notes) for at, each in enumerate(tensors))
    lengths = {len(each) for each in tensors}
    if len(lengths) > 1:
        told = ", ".join(f"{_one(names, at, what)} {len(each)}" for at, each in enumerate(tensors))
        raise WorkloadError(f"the inputs of {what} differ in length ({told}); give as many examples of each")
    count = lengths.pop()
    if targets is not None:
        targets = _as_targets(tensor(targets, what), what, notes)
        if len(targets) != count:
            raise WorkloadError(f"{what} holds {count} inputs and {len(targets)} targets; give as many of each")
    if not count:
        raise WorkloadError(f"{what} is empty; give at least one example")
    for at, each in enumerate(tensors):
        finite(each, _one(names, at, what))
    if targets is not None:
        finite(targets, f"the targets of {what}")
    return Read(Data(tensors, targets), names, notes)


def _all(source: Any, what: str, notes: list[str]) -> tuple[Any, Any]:
    """Inputs and targets (None where there are none) of all examples, in whatever holds them."""
    if isinstance(source, str | os.PathLike):
        source = npz(Path(source), what)
    if isinstance(source, Data):
        return source.inputs, source.targets
    if isinstance(source, torch.utils.data.TensorDataset):
        source = source.tensors
    if isinstance(source, torch.utils.data.IterableDataset):
        examples = (parted(item, what) for item in source)
        return _joined(_within_budget(examples, what, notes, lambda tensors: 1), what, torch.stack)
    if _is_array(source) or isinstance(source, Mapping) or _is_pair(source):
        return parted(source, what)
    if hasattr(source, "__getitem__") and hasattr(source, "__len__") and not isinstance(source, str | bytes):
        return _joined(_examples_of(source, what), what, torch.stack)
    raise WorkloadError(f"{what} is {_kind(source)}; it can be {FORMS}")


def npz(path: Path, what: str) -> dict[str, np.ndarray]:
    advice = f"store {what} with numpy.savez(path, inputs=…, targets=…)"
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise WorkloadError(f"{path} holds one array; {advice}")
        with loaded as arrays:
            if not arrays.files:
                raise WorkloadError(f"{path} holds nothing; {advice}")
            return {name: arrays[name] for name in arrays.files}
    except OSError as error:
        raise WorkloadError(f"{what} can't be read from {path} ({error.strerror or error}); {advice}") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:  # numpy's own words advise to unpickle it
        raise WorkloadError(f"{path} holds no arrays of numbers, or is damaged; {advice}") from error


def parted(item: Any, what: str) -> tuple[Any, Any]:
    """Inputs and targets of an example, a batch or all examples; the targets are None where there are none."""
    if isinstance(item, Mapping):
        key = next((name for name in _TARGETS if name in item), None)
        inputs = {name: value for name, value in item.items() if name != key}
        if not inputs:
            raise WorkloadError(f"{what} holds {key!r} and no inputs; add them under the names that forward takes")
        if set(inputs) == {"inputs"}:
            inputs = inputs["inputs"]
        return inputs, item[key] if key else None
    if isinstance(item, tuple | list):
        if len(item) == 1:
            return item[0], None
        if len(item) != 2:
            raise WorkloadError(
                f"{what} holds {_kind(item)}; give (inputs, targets), several inputs as ((first, second), targets)"
            )
        return item[0], item[1]
    return item, None


def _examples_of(source: Any, what: str) -> Iterator[tuple[Any, Any]]:
    if not len(source):
        raise WorkloadError(f"{what} is empty; give at least one example")
    first = parted(source[0], what)
    tensors = _flat(first, what)
    shapes = " and ".join(str(list(each.shape)) for each in tensors[:1])
    refuse_beyond_memory(f"{what} ({len(source)} examples of shape {shapes})", len(source) * sum(map(_bytes, tensors)))
    yield first
    for index in range(1, len(source)):
        yield parted(source[index], what)


def _batches(loader: torch.utils.data.DataLoader, what: str, notes: list[str]) -> Iterator[tuple[Any, Any]]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # a shuffling loader then gives the same order each time, so equal keys stay equal
        batches = (parted(batch, what) for batch in loader)
        if (count := _length(loader)) is None:
            yield from _within_budget(batches, what, notes, lambda tensors: len(tensors[0]))
            return
        for number, parts in enumerate(batches):
            if not number:
                refuse_beyond_memory(f"{what} ({count} batches)", count * sum(map(_bytes, _flat(parts, what))))
            yield parts


def _length(loader: torch.utils.data.DataLoader) -> int | None:
    """How many batches it has; ``None`` where that isn't known, and it may have no end."""
    try:
        return len(loader)
    except TypeError:
        return None


def _within_budget(
    stream: Iterable[tuple[Any, Any]], what: str, notes: list[str], count: Callable[[list[torch.Tensor]], int]
) -> Iterator[tuple[Any, Any]]:
    """What is read of a stream: its first item, and as many more as the budget has room for.

    ``count`` says how many examples an item's tensors hold.
    """
    used = examples = 0
    for parts in stream:
        tensors = _flat(parts, what)
        more_bytes, more = sum(map(_bytes, tensors)), count(tensors)
        if examples and (used + more_bytes > _STREAM_BYTES or examples + more > _STREAM_EXAMPLES):
            notes.append(f"the first {examples:,} examples of {what} were read, {used // 2**20} MB; more don't count")
            return
        used, examples = used + more_bytes, examples + more
        yield parts


def _joined(parts: Iterable[tuple[Any, Any]], what: str, join: Any) -> tuple[Any, Any]:
    """All examples of ``parts``, each put together by ``join`` (``torch.stack`` or ``torch.cat``)."""
    parts = iter(parts)
    first = next(parts, None)
    if first is None:
        raise WorkloadError(f"{what} is empty; give at least one example")
    rows = [_flat(each, what) for each in chain([first], parts)]
    if odd := next((row for row in rows if len(row) != len(rows[0])), None):
        raise WorkloadError(f"{what} holds {len(rows[0])} and {len(odd)} tensors; give the same of each example")
    tensors = [_join(column, what, join) for column in zip(*rows, strict=True)]
    inputs, targets = first
    targets = None if targets is None else tensors.pop()
    if isinstance(inputs, Mapping):
        return dict(zip(inputs, tensors, strict=True)), targets
    return (tuple(tensors) if len(tensors) > 1 else tensors[0]), targets


def _flat(parts: tuple[Any, Any], what: str) -> list[torch.Tensor]:
    inputs, targets = parts
    several = inputs.values() if isinstance(inputs, Mapping) else inputs if _holds_arrays(inputs) else (inputs,)
    return [tensor(each, what) for each in (*several, *(() if targets is None else (targets,)))]


def _join(tensors: tuple[torch.Tensor, ...], what: str, join: Any) -> torch.Tensor:
    skipped = 1 if join is torch.cat else 0
    shapes = [tensor.shape[skipped:] for tensor in tensors]
    for index, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise WorkloadError(
                f"{what} mixes shapes: {list(shapes[0])} at index 0 and {list(shape)} at index {index}; "
                "bring the examples to one shape"
            )
    return join(tensors)


def _named(inputs: Any, what: str) -> tuple[tuple[str, ...], list[torch.Tensor]]:
    """The inputs' keys, where they have some, and the inputs."""
    if isinstance(inputs, Mapping):
        return tuple(map(str, inputs)), [tensor(each, f"{what}[{name!r}]") for name, each in inputs.items()]
    if _holds_arrays(inputs):
        return (), [tensor(each, what) for each in inputs]
    return (), [tensor(inputs, what)]


def _one(names: tuple[str, ...], at: int, what: str) -> str:
    return f"the input {names[at]!r} of {what}" if names else f"the inputs of {what}"


def _inputs_in_words(read: Read) -> str:
    count = len(read.data.inputs)
    return f"the inputs {', '.join(read.names)}" if read.names else f"{count} input{'s' if count > 1 else ''}"


def tensor(value: Any, what: str) -> torch.Tensor:
    """An array, or what numpy makes one of, on the CPU; :class:`WorkloadError` where there are no numbers in it."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if isinstance(value, str) or (isinstance(value, tuple | list) and value and isinstance(value[0], str)):
        raise WorkloadError(
            f"{what} holds text, and nothing here turns it into numbers; give what a tokenizer makes of it, or lists "
            "of texts and the folder of a model with its tokenizer"
        )
    try:
        return torch.from_numpy(np.array(value))
    except (TypeError, ValueError) as error:
        raise WorkloadError(f"{what} holds {_kind(value)}, which is no array of numbers ({error})") from None


def _as_input(inputs: torch.Tensor, what: str, notes: list[str]) -> torch.Tensor:
    if inputs.ndim == 0:
        raise WorkloadError(f"{what} have shape []; they have to be [N, …]")
    if inputs.is_complex():
        raise WorkloadError(f"{what} are {inputs.dtype}; give real numbers")
    if not inputs.is_floating_point() or inputs.dtype == torch.float32:
        return inputs.contiguous()
    return as_float32(inputs, what, notes)


def as_float32(inputs: torch.Tensor, what: str, notes: list[str]) -> torch.Tensor:
    """Inputs of another type as float32, bytes of images divided by 255; a note says so for what isn't a float."""
    refuse_beyond_memory(f"{what} as float32", inputs.numel() * 4)
    if inputs.dtype == torch.uint8 and inputs.ndim >= 3:
        notes.append("uint8 images were divided by 255")
        return inputs.float().div_(255)
    if not inputs.is_floating_point():
        notes.append(f"{str(inputs.dtype).removeprefix('torch.')} inputs were converted to float32 as they are")
    return inputs.float().contiguous()


def floats(inputs: Inputs, notes: list[str]) -> Inputs:
    """All of them as float32; see :func:`as_float32`."""
    return tuple(as_float32(each, "the data", notes) for each in inputs)


def _as_targets(targets: torch.Tensor, what: str, notes: list[str]) -> torch.Tensor:
    """Whole numbers as int64, floats as float32, yes and no as they are; one column alone and one-hot rows [N]."""
    if targets.ndim == 0:
        raise WorkloadError(f"the targets of {what} have shape []; they have to be [N, …]")
    if targets.is_complex():
        raise WorkloadError(f"the targets of {what} are {targets.dtype}; give real numbers")
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.ndim == 2 and bool(((targets == 0) | (targets == 1)).all() and (targets.sum(1) == 1).all()):
        notes.append("one-hot targets were turned into class numbers")
        return targets.long().argmax(1)
    if targets.dtype == torch.bool:
        return targets
    return targets.float() if targets.is_floating_point() else targets.long()


def _is_array(value: Any) -> bool:
    return (isinstance(value, torch.Tensor) and value.ndim > 0) or (hasattr(value, "__array__") and np.ndim(value) > 0)


def _holds_arrays(value: Any) -> bool:
    """Whether it is several inputs: a tuple or list of arrays, not a list of numbers."""
    return isinstance(value, tuple | list) and bool(value) and all(map(_is_array, value))


def _is_pair(value: Any) -> bool:
    """Whether it is inputs and targets (or none): not a list of two examples."""
    if not isinstance(value, tuple | list) or len(value) not in (1, 2):
        return isinstance(value, tuple) and len(value) > 2 and all(map(_is_array, value))
    inputs, targets = value if len(value) == 2 else (value[0], None)
    return _is_inputs(inputs) and (targets is None or _is_array(targets))


def _is_inputs(value: Any) -> bool:
    return (
        _is_array(value) or _holds_arrays(value) or (isinstance(value, Mapping) and all(map(_is_array, value.values())))
    )


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * max(tensor.element_size(), 4)


def _kind(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"of type {type(value).__name__}"


def _examples(count: int) -> str:
    return "1 example is" if count == 1 else f"{count} examples are"
