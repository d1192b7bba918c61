"""Whether a model's forward decides by the values of its inputs what it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from workbench.errors import WorkbenchError
from workbench.techniques._training import seeded
from workbench.workload import Inputs, rows

_SCALES = (1e-3, 0.1, 1.0, 10.0, 1e3)


class _Reads(TorchDispatchMode):
    """Writes down every number that Python reads out of a tensor, as ``if``, ``float`` and ``torch.equal`` do."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[str] = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        if isinstance(result, bool | int | float | complex):
            self.values.append(repr(result))
        return result


def require_one_path(module: torch.nn.Module, examples: Inputs) -> None:
    """Raise :class:`WorkbenchError` where ``module`` reads numbers that depend on its input, as an ``if`` on them does.

    What is followed along one branch may not hold on the other. A number that is always the same, such as a
    temperature, may be read.
    """
    usual = _read(module, rows(examples, slice(2)))
    if not usual:
        return
    for inputs in _unlike(examples):
        try:
            read = _read(module, inputs)
        except (RuntimeError, ValueError, IndexError):  # no input of this model, such as a word it doesn't know
            continue
        if read != usual:
            raise WorkbenchError(
                "the channels of this model can't be followed from layer to layer: its forward reads numbers that "
                "depend on the input, as an 'if' on a tensor does; decide with torch.where instead, or prune weights "
                "instead of channels"
            )


@torch.no_grad()
def _read(module: torch.nn.Module, inputs: Inputs) -> list[str]:
    with _Reads() as reads:
        module(*inputs)
    return reads.values


def _unlike(examples: Inputs) -> Iterator[Inputs]:
    """Batches of 2, unlike each other: each of the examples, and noise of either sign in several scales.

    Whole numbers, tokens for instance, stay those of the first two examples where floats are noise.
    """
    for number in range(len(examples[0])):
        yield rows(examples, [number, number])
    first = rows(examples, slice(2))
    with seeded(0):
        noise = tuple(torch.rand_like(each) if each.is_floating_point() else each for each in first)
    for scale in _SCALES:
        for values in (noise, _changed(noise, lambda each: each - 0.5), first):
            for sign in (scale, -scale):
                yield _changed(values, lambda each, sign=sign: sign * each)


def _changed(inputs: Inputs, change: Callable[[torch.Tensor], torch.Tensor]) -> Inputs:
    return tuple(change(each) if each.is_floating_point() else each for each in inputs)
