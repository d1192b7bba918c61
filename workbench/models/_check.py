"""Whether a model and its data fit each other, said in one line where they don't."""

from __future__ import annotations

import torch

from workbench.errors import WorkloadError
from workbench.plumbing.words import one_line
from workbench.workload import Inputs

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


def finite(tensor: torch.Tensor, what: str) -> None:
    """Raise ``WorkloadError`` with the index of the first example that holds NaN or infinity."""
    bad = ~torch.isfinite(tensor).reshape(len(tensor), -1).all(1)
    if bad.any():
        first = int(bad.nonzero()[0])
        raise WorkloadError(
            f"{what} hold NaN or infinity in {int(bad.sum())} of {len(tensor)} examples, first at index {first}; "
            "remove or mend these"
        )


def outputs_of(module: torch.nn.Module, inputs: Inputs) -> torch.Tensor:
    """What the module gives for ``inputs``, each [batch, …]: one float tensor [batch, …].

    Raises
    ------
    WorkloadError
        If the forward pass fails, or it gives anything else.
    """
    shapes = " and ".join(str(list(each.shape)) for each in inputs)
    try:
        with torch.no_grad():
            outputs = module(*inputs)
    except Exception as error:  # a user's forward may raise anything
        reason = one_line(error)
        raise WorkloadError(f"the model fails on inputs of shape {shapes}: {reason}; give inputs it takes") from error
    if not isinstance(outputs, torch.Tensor):
        raise WorkloadError(
            f"the model returns {type(outputs).__name__} for inputs of shape {shapes}; give output=, the key, number "
            "or function that tells which tensor [N, …] of it counts"
        )
    if outputs.dim() == 0 or len(outputs) != len(inputs[0]) or not outputs.is_floating_point():
        raise WorkloadError(
            f"the model returns {outputs.dtype} of shape {list(outputs.shape)} for inputs of shape {shapes}; "
            "it has to return one float tensor whose first dimension is the batch, as the inputs' is"
        )
    return outputs


def randomness(module: torch.nn.Module, inputs: Inputs) -> str | None:
    """Words for a forward that draws random numbers, as dropout that is always on does; None where it gives the same.

    Calls it twice on ``inputs``, each [batch, …]; torch's global generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        first, second = (module(*inputs).detach().double().reshape(len(inputs[0]), -1) for _ in range(2))
    apart = (first - second).norm(dim=1)
    if float(apart.norm()) <= _SAME * float(first.norm()):
        return None
    return (
        f"the model's forward draws random numbers: of {len(first)} outputs {int((apart > 0).sum())} change from one "
        "call to the next on the same inputs"
    )
