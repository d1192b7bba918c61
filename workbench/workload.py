"""What is being made faster: a model, its data and its task."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from workbench.tasks import Task


AUTO = "auto"
PAIRS = "pairs"
CALLS = ("one", "positional", "keywords", PAIRS)
"""How a model may be called, but for "auto"."""

Inputs = tuple["torch.Tensor", ...]
"""What a model is called with, one tensor for each of its inputs: [batch, …], floats as float32."""

_BYTES_AT_A_TIME = 8 * 2**20


def is_auto(given: Any) -> bool:
    """Whether it is "auto"; functions, metrics and tensors, which compare in ways of their own, are not."""
    return isinstance(given, str) and given == AUTO


class VaryingInputs(tuple):
    """Inputs of one shape, of which others have other sizes: along ``free``, the dimensions of each input."""

    free: tuple[tuple[int, ...], ...]

    def __new__(cls, inputs: Inputs, free: tuple[tuple[int, ...], ...] = ()) -> VaryingInputs:
        self = super().__new__(cls, inputs)
        self.free = free
        return self


def free_of(inputs: Inputs) -> tuple[tuple[int, ...], ...]:
    """For each input the dimensions, beside the batch, along which others have other sizes."""
    return inputs.free if isinstance(inputs, VaryingInputs) else ((),) * len(inputs)


def fits(sizes: Sequence[int], wanted: Sequence[int | None]) -> bool:
    """Whether ``sizes`` are as wanted; any is where that is None."""
    return len(sizes) == len(wanted) and all(want in (None, size) for size, want in zip(sizes, wanted, strict=True))


def rows(inputs: Inputs, index: Any) -> Inputs:
    """The examples at ``index`` (a slice, or their numbers int64 [n]) of each of ``inputs``."""
    return tuple(each[index] for each in inputs)


def at_a_time(inputs: Inputs, most: int) -> int:
    """How many of the examples go into one call: ``most``, or of large ones as many as take 8 MiB; at least one."""
    return max(1, min(most, _BYTES_AT_A_TIME // max(1, sum(each[:1].nbytes for each in inputs))))


@dataclass(frozen=True)
class Data:
    """Examples: each of ``inputs`` [N, …] (a lone tensor is one), and ``targets`` [N, …] or none."""

    inputs: Inputs
    targets: torch.Tensor | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.inputs, tuple):
            object.__setattr__(self, "inputs", (self.inputs,))

    def __len__(self) -> int:
        return len(self.inputs[0])

    def at(self, index: Any) -> Data:
        """The examples at ``index``: a slice, or their numbers int64 [n]."""
        targets = None if self.targets is None else self.targets[index]
        return Data(rows(self.inputs, index), targets)

    @property
    def parts(self) -> tuple[Data, ...]:
        """The examples of each shape: all of them have one here."""
        return (self,)

    def mapped(self, change: Callable[[Data], Data]) -> Data:
        """What ``change`` makes of the examples of each shape, as many of each."""
        return change(self)

    def batches(self, size: int) -> Iterator[Data]:
        """``size`` examples at a time, in their order."""
        for part in self.parts:
            for start in range(0, len(part), size):
                yield part.at(slice(start, start + size))

    def batch_rows(self, size: int, order: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The numbers of ``size`` examples at a time, int64 [size], in this order (int64 [N])."""
        return order.split(size)

    def tensors(self) -> Inputs:
        """All it holds."""
        return self.inputs if self.targets is None else (*self.inputs, self.targets)


@dataclass(frozen=True)
class MixedData(Data):
    """Examples of several shapes, numbered one part after the other; batches never mix them.

    ``inputs`` and ``targets`` are those of the first part, which holds the most examples: its shape stands for all
    where one has to.
    """

    examples: tuple[Data, ...] = ()

    @classmethod
    def of(cls, parts: Iterable[Data]) -> Data:
        """The examples of ``parts``, each of one shape; plain data where there is one."""
        parts = tuple(parts)
        if len(parts) == 1:
            return parts[0]
        shapes = [[each.shape for each in part.inputs] for part in parts]
        sizes = [list(zip(*column, strict=True)) for column in zip(*shapes, strict=True)]
        free = tuple(tuple(dim for dim, of in enumerate(each) if dim and len(set(of)) > 1) for each in sizes)
        return cls(VaryingInputs(parts[0].inputs, free), parts[0].targets, parts)

    @property
    def parts(self) -> tuple[Data, ...]:
        return self.examples

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def at(self, index: Any) -> Data:
        chosen = [part.at(rows) for part, rows in zip(self.parts, self._by_part(index), strict=True) if len(rows)]
        if len(chosen) > 1:
            return MixedData.of(chosen)
        return Data(VaryingInputs(chosen[0].inputs, self.inputs.free), chosen[0].targets)

    def mapped(self, change: Callable[[Data], Data]) -> Data:
        return MixedData.of(map(change, self.parts))

    def batch_rows(self, size: int, order: torch.Tensor) -> tuple[torch.Tensor, ...]:
        starts = [0, *itertools.accumulate(map(len, self.parts))]
        batches = [
            batch
            for start, rows in zip(starts, self._by_part(order), strict=False)
            if len(rows)
            for batch in (rows + start).split(size)
        ]
        place = order.argsort()
        return tuple(sorted(batches, key=lambda batch: int(place[batch[0]])))

    def tensors(self) -> Inputs:
        return tuple(itertools.chain.from_iterable(part.tensors() for part in self.parts))

    def _by_part(self, index: Any) -> list[torch.Tensor]:
        """The numbers within each part of the examples at ``index``, in its order."""
        import torch

        chosen, found, start = torch.arange(len(self))[index], [], 0
        for part in self.parts:
            found.append(chosen[(chosen >= start) & (chosen < start + len(part))] - start)
            start += len(part)
        return found


@dataclass(frozen=True)
class Workload:
    """A description of a workload, made without loading it.

    Parameters
    ----------
    model
        The name of an embedded workload ("fashion-cnn"), an ``nn.Module``, a Keras 3 model, the path of a ``.pt2``,
        ``.onnx`` or ``.keras`` file or of a Hugging Face folder, or ``"module:factory"`` naming a function that returns
        an ``nn.Module``.
    data
        ``(inputs, targets)`` or inputs alone, the path of an ``.npz`` with both, a ``Dataset`` of such pairs, or a
        ``DataLoader``, whose batches may differ in shape. Inputs are a tensor or array [N, …] of any type, or a tuple
        or dictionary of several; lists of strings, one or a pair of them, where the model's folder has a tokenizer.
        Embedded workloads bring their own.
    train
        The same, for calibration, fine-tuning and distillation. Without it, every fifth example of
        ``data`` is set aside for that and not used for quality.
    weights
        A ``.safetensors`` file, or a state dictionary (``.pth``, ``.pt``), for a ``"module:factory"`` model.
    name
        What the page calls it; made from the model's class or file name when absent.
    metric
        The name of a metric ("mae", "mean-iou"), a function ``(outputs, targets) -> [N]``, or a torchmetrics metric.
        Higher figures are better, unless it has an attribute ``better = "lower"``. "auto" chooses by what the targets
        are.
    loss
        What training makes small: the name of a loss, or a function ``(outputs, targets) -> scalar``. "auto" goes by
        the metric.
    output
        What of the model's output counts: a key, an attribute or a number, or a function of the output. "auto" takes
        a tensor itself, else ``.logits``, else the first tensor, one of floats where there is one.
    call
        How inputs are passed: "one" (a tensor), "positional", "keywords", or "pairs" (the model embeds each of two
        inputs, or both halves of named inputs [N, 2, …]). "auto" goes by the form of the data.
    classes
        What the classes are called, in the order of their numbers; numbers stand for them when absent.
    """

    model: Any
    data: Any = None
    train: Any = None
    weights: str | None = None
    name: str | None = None
    metric: Any = AUTO
    loss: Any = AUTO
    output: Any = AUTO
    call: str = AUTO
    classes: Sequence[str] | None = None

    @property
    def is_a_name(self) -> bool:
        """Whether it is the name of an embedded workload (or of none) and nothing else."""
        brought = any(each is not None for each in (self.data, self.train, self.weights, self.classes))
        return isinstance(self.model, str) and not brought and all(map(is_auto, self.asked_task))

    @property
    def asked_task(self) -> tuple[Any, ...]:
        """What was asked for as its task: metric, loss, output and call."""
        return self.metric, self.loss, self.output, self.call

    @property
    def display_name(self) -> str:
        """What the page, results and history call it: the name given, the file's or factory's, or the class's."""
        if self.name:
            return self.name
        if not isinstance(self.model, str | os.PathLike):
            return type(self.model).__name__
        text = os.fspath(self.model)
        if os.path.isdir(text):
            return Path(text).resolve().name
        if (suffix := Path(text).suffix) and ":" not in suffix:
            return Path(text).stem
        return text.rpartition(":")[2] if ":" in text else text


@dataclass(frozen=True)
class LoadedWorkload:
    """A workload in memory, as the worker uses it.

    ``id`` is what its runs are kept under: the name of an embedded workload, else the beginning of ``key``.
    ``key`` is a sha256 over the architecture, weights and data: equal keys mean equal workloads.
    ``module`` is in eval mode, its parameters fp32 (whole numbers where it came quantized) and untouched by any run. It
    is called with the tensors of an example one by one and gives one float tensor [batch, *output_shape]. ``note`` says
    in one line what was assumed about the data. ``classes`` are the names of the classes that outputs score, none where
    they aren't known; ``decode`` gives the text that tokens, int64 [T], stand for.
    """

    name: str
    id: str
    key: str
    module: torch.nn.Module
    test: Data
    train: Data
    task: Task
    output_shape: tuple[int, ...]
    description: str = ""
    note: str = ""
    classes: tuple[str, ...] = ()
    decode: Callable[[torch.Tensor], str] | None = None

    def example(self, batch: int) -> Inputs:
        """The first ``batch`` test inputs, repeated from the start where there are fewer."""
        first = self.test.parts[0]
        example = tuple(each.contiguous() for each in rows(first.inputs, [i % len(first) for i in range(batch)]))
        return VaryingInputs(example, self.test.inputs.free) if first is not self.test else example
