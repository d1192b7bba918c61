"""Whether a model and its data fit each other, said in one line where they don't."""

from __future__ import annotations

import torch

from workbench.errors import WorkloadError
from workbench.plumbing.words import one_line
from workbench.workload import Data

_SAME = 1e-5
"""Sums of the same numbers in another order differ by some 1e-7; what is drawn at random by far more."""


def finite_weights(module: torch.nn.Module) -> None:
    """Raise ``WorkloadError`` naming the first parameter or buffer that holds NaN or infinity."""
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            count = int((~torch.isfinite(tensor)).sum())
            raise WorkloadError(
                f"the weights of {name!r} are not all finite: {count} of {tensor.numel()} are NaN or infinite; "
                "load weights from before the training went wrong"
            )


def finite_inputs(inputs: torch.Tensor, what: str) -> None:
    """Raise ``WorkloadError`` with the index of the first example that holds NaN or infinity."""
    bad = ~torch.isfinite(inputs).reshape(len(inputs), -1).all(1)
    if bad.any():
        first = int(bad.nonzero()[0])
        raise WorkloadError(
            f"{what} hold NaN or infinity in {int(bad.sum())} of {len(inputs)} examples, first at index {first}; "
            "remove or mend these"
        )


def outputs_of(module: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """What the module gives for float32 ``inputs`` [batch, …]: one float tensor [batch, …].

    Raises
    ------
    WorkloadError
        If the forward pass fails, or it gives anything else.
    """
    shape = list(inputs.shape)
    try:
        with torch.no_grad():
            outputs = module(inputs)
    except Exception as error:  # a user's forward may raise anything
        reason = one_line(error)
        raise WorkloadError(f"the model fails on inputs of shape {shape}: {reason}; give inputs it takes") from error
    if not isinstance(outputs, torch.Tensor):
        raise WorkloadError(
            f"the model returns {type(outputs).__name__} for inputs of shape {shape}; "
            "it has to return one tensor [N, …]: wrap it in a module that does"
        )
    if outputs.dim() == 0 or len(outputs) != len(inputs) or not outputs.is_floating_point():
        raise WorkloadError(
            f"the model returns {outputs.dtype} of shape {list(outputs.shape)} for inputs of shape {shape}; "
            "it has to return one float tensor whose first dimension is the batch, as the inputs' is"
        )
    return outputs


def fits(module: torch.nn.Module, test: Data, train: Data) -> int:
    """Run two examples through the model and compare its outputs with the labels; returns the number of classes.

    Raises
    ------
    WorkloadError
        If the forward pass fails, its output isn't float [N, classes], or a label is out of range.
    """
    sample = test.inputs[[0, len(test) - 1]]
    outputs = outputs_of(module, sample)
    if outputs.ndim != 2 or outputs.shape[1] < 2:
        raise WorkloadError(
            f"the model returns {outputs.dtype} of shape {list(outputs.shape)} for inputs of shape "
            f"{list(sample.shape)}; a classifier returns float [N, classes] with at least 2 classes"
        )
    classes = outputs.shape[1]
    for what, labels in (("test", test.labels), ("train", train.labels)):
        _in_range(labels, classes, what)
    return classes


def randomness(module: torch.nn.Module, inputs: torch.Tensor) -> str | None:
    """Words for a forward that draws random numbers, as dropout that is always on does; None where it gives the same.

    Calls it twice on ``inputs`` [batch, …]; torch's global generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        first, second = (module(inputs).detach().double() for _ in range(2))
    if float((first - second).norm()) <= _SAME * float(first.norm()):
        return None
    changed = int((first.argmax(1) != second.argmax(1)).sum())
    return (
        f"the model's forward draws random numbers: of {len(inputs)} predictions {changed} change from one call to the "
        "next on the same inputs"
    )


def _in_range(labels: torch.Tensor, classes: int, what: str) -> None:
    outside = (labels < 0) | (labels >= classes)
    if outside.any():
        first = int(outside.nonzero()[0])
        raise WorkloadError(
            f"label {int(labels[first])} at index {first} of the {what} examples is outside 0…{classes - 1}, "
            f"the model's {classes} outputs; correct the labels or give the model more outputs"
        )
