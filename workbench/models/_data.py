"""A user's data, in any of its forms, as float32 inputs and int64 labels."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workbench.errors import WorkloadError
from workbench.machine.memory import refuse_beyond_memory
from workbench.models._check import finite_inputs
from workbench.workload import Data

SET_ASIDE_EVERY = 5
FORMS = "(inputs, labels) tensors or arrays, an .npz of them, a map-style Dataset of such pairs, or a DataLoader"


def split(data: Any, train: Any) -> tuple[Data, Data, list[str]]:
    """Read the examples to measure on and those to learn from; returns them and what was assumed.

    Raises
    ------
    WorkloadError
        If either can't be read, is empty, or holds NaN; or if there are too few to set some aside.
    """
    if data is None:
        raise WorkloadError(f"a model of your own needs data: {FORMS}")
    test, notes = read(data, "data")
    if train is not None:
        learned, more = read(train, "train")
        return test, learned, notes + [note for note in more if note not in notes]
    if len(test) < SET_ASIDE_EVERY:
        raise WorkloadError(
            f"{_examples(len(test))} too few to set every fifth aside for calibration; give more, or train= as well"
        )
    aside = torch.arange(len(test)) % SET_ASIDE_EVERY == SET_ASIDE_EVERY - 1
    learned = Data(test.inputs[aside], test.labels[aside])
    note = f"every fifth example ({len(learned)} of {len(test)}) is set aside for calibration and training"
    return Data(test.inputs[~aside], test.labels[~aside]), learned, [*notes, note]


def read(source: Any, what: str) -> tuple[Data, list[str]]:
    """Read one set of examples; ``what`` names it in messages. Returns it and what was assumed about it."""
    inputs, labels = _pair(source, what)
    notes: list[str] = []
    if inputs.ndim < 2:
        raise WorkloadError(f"the inputs of {what} have shape {list(inputs.shape)}; they have to be [N, …]")
    inputs = _as_float(inputs, what, notes)
    labels = _as_classes(labels, what, notes)
    if len(inputs) != len(labels):
        raise WorkloadError(f"{what} holds {len(inputs)} inputs and {len(labels)} labels; give as many of each")
    if not len(inputs):
        raise WorkloadError(f"{what} is empty; give at least one example")
    finite_inputs(inputs, f"the inputs of {what}")
    return Data(inputs, labels), notes


def _npz(path: Path, what: str) -> tuple[np.ndarray, np.ndarray]:
    advice = f"store {what} with numpy.savez(path, inputs=…, labels=…)"
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise WorkloadError(f"{path} holds one array; {advice}")
        with loaded as arrays:
            if missing := {"inputs", "labels"} - set(arrays):
                found = ", ".join(arrays) or "nothing"
                raise WorkloadError(f"{path} lacks {' and '.join(sorted(missing))} and holds {found}; {advice}")
            return arrays["inputs"], arrays["labels"]
    except OSError as error:
        raise WorkloadError(f"{what} can't be read from {path} ({error.strerror or error}); {advice}") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:  # numpy's own words advise to unpickle it
        raise WorkloadError(f"{path} holds no arrays of numbers, or is damaged; {advice}") from error


def _pair(source: Any, what: str) -> tuple[torch.Tensor, torch.Tensor]:
    if isinstance(source, str | os.PathLike):
        source = _npz(Path(source), what)
    if isinstance(source, Data):
        return source.inputs, source.labels
    if isinstance(source, torch.utils.data.DataLoader):
        return _from_loader(source, what)
    if isinstance(source, (tuple, list)) and len(source) == 2 and all(_is_array(each) for each in source):
        return _tensor(source[0], what), _tensor(source[1], what)
    if isinstance(source, torch.utils.data.TensorDataset) and len(source.tensors) == 2:
        return source.tensors
    if hasattr(source, "__getitem__") and hasattr(source, "__len__") and not isinstance(source, (dict, str, bytes)):
        return _from_dataset(source, what)
    raise WorkloadError(f"{what} is {_kind(source)}; it can be {FORMS}")


def _from_dataset(source: Any, what: str) -> tuple[torch.Tensor, torch.Tensor]:
    if not len(source):
        raise WorkloadError(f"{what} is empty; give at least one example")
    first, _ = _example(source[0], what)
    each_bytes = first.numel() * max(first.element_size(), 4)
    refuse_beyond_memory(f"{what} ({len(source)} examples of shape {list(first.shape)})", len(source) * each_bytes)
    examples = [_example(source[index], what) for index in range(len(source))]
    return _stack([inputs for inputs, _ in examples], what), _stack([label for _, label in examples], what)


def _from_loader(loader: torch.utils.data.DataLoader, what: str) -> tuple[torch.Tensor, torch.Tensor]:
    inputs, labels = [], []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # a shuffling loader then gives the same order each time, so equal keys stay equal
        for batch in loader:
            if not isinstance(batch, (tuple, list)) or len(batch) != 2:
                raise WorkloadError(f"the batches of {what} are {_kind(batch)}; each has to be (inputs, labels)")
            inputs.append(_tensor(batch[0], what))
            labels.append(_tensor(batch[1], what))
            if len(inputs) == 1 and hasattr(loader.dataset, "__len__"):
                bytes_here = inputs[0].numel() * max(inputs[0].element_size(), 4)
                refuse_beyond_memory(f"{what} ({len(loader)} batches)", bytes_here * len(loader))
    if not inputs:
        raise WorkloadError(f"{what} is empty; give at least one example")
    return _joined(inputs, what), _joined(labels, what)


def _example(example: Any, what: str) -> tuple[torch.Tensor, torch.Tensor]:
    if not isinstance(example, (tuple, list)) or len(example) != 2:
        raise WorkloadError(f"the examples of {what} are {_kind(example)}; each has to be (input, label)")
    return _tensor(example[0], what), _tensor(example[1], what)


def _tensor(value: Any, what: str) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    try:
        return torch.from_numpy(np.array(value))
    except (TypeError, ValueError) as error:
        raise WorkloadError(f"{what} holds {_kind(value)}, which is no array of numbers ({error})") from None


def _stack(tensors: list[torch.Tensor], what: str) -> torch.Tensor:
    _same_shape([tensor.shape for tensor in tensors], what)
    return torch.stack(tensors)


def _joined(tensors: list[torch.Tensor], what: str) -> torch.Tensor:
    _same_shape([tensor.shape[1:] for tensor in tensors], what)
    return torch.cat(tensors)


def _same_shape(shapes: list[torch.Size], what: str) -> None:
    for index, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise WorkloadError(
                f"{what} mixes shapes: {list(shapes[0])} at index 0 and {list(shape)} at index {index}; "
                "resize the examples to one shape"
            )


def _as_float(inputs: torch.Tensor, what: str, notes: list[str]) -> torch.Tensor:
    if inputs.dtype == torch.float32:
        return inputs.contiguous()
    if inputs.is_complex():
        raise WorkloadError(f"the inputs of {what} are {inputs.dtype}; give real numbers")
    refuse_beyond_memory(f"{what} as float32", inputs.numel() * 4)
    if inputs.dtype == torch.uint8 and inputs.ndim >= 3:
        notes.append("uint8 images were divided by 255")
        return inputs.float().div_(255)
    if not inputs.is_floating_point():
        notes.append(f"{str(inputs.dtype).removeprefix('torch.')} inputs were converted to float32 as they are")
    return inputs.float().contiguous()


def _as_classes(labels: torch.Tensor, what: str, notes: list[str]) -> torch.Tensor:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if (
        labels.ndim == 2
        and labels.shape[1] > 1
        and bool(((labels == 0) | (labels == 1)).all() and (labels.sum(1) == 1).all())
    ):
        notes.append("one-hot labels were turned into class numbers")
        return labels.argmax(1)
    if labels.ndim != 1:
        raise WorkloadError(f"the labels of {what} have shape {list(labels.shape)}; they have to be class numbers [N]")
    if labels.is_floating_point() or labels.is_complex():
        whole = labels.real.nan_to_num(0.5)
        odd = (whole != whole.round()).nonzero()
        if len(odd):
            first = int(odd[0])
            raise WorkloadError(
                f"label {labels[first].item()} at index {first} of {what} is no class number; this workbench "
                "measures classifiers, whose labels are whole numbers from 0"
            )
    return labels.long()


def _is_array(value: Any) -> bool:
    return (isinstance(value, torch.Tensor) and value.ndim > 0) or (hasattr(value, "__array__") and np.ndim(value) > 0)


def _kind(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"of type {type(value).__name__}"


def _examples(count: int) -> str:
    return "1 example is" if count == 1 else f"{count} examples are"
