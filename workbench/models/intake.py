"""The way in for a module of one's own, the same for ``wb.run``, ``wb.show`` and ``wb.prepare``."""

from __future__ import annotations

import copy
from typing import Any

import torch

from workbench.errors import WorkloadError
from workbench.machine import memory
from workbench.models import _check, _data
from workbench.models.folding import folded_parametrizations
from workbench.plumbing.words import one_line
from workbench.workload import Data

_WRAPPERS = {
    torch.nn.DataParallel: "module",
    torch.nn.parallel.DistributedDataParallel: "module",
    torch._dynamo.OptimizedModule: "_orig_mod",
}
"""What puts itself around a module and does the same → the attribute that holds the module."""


def unwrapped(module: torch.nn.Module) -> torch.nn.Module:
    """The module that does the computing: out of ``DataParallel`` and ``torch.compile``, with plain weights.

    Weights that are computed of others at each call (weight norm, spectral norm) are computed once, on a copy.

    Raises
    ------
    WorkloadError
        It is TorchScript, which can't be exported.
    """
    while holder := next((name for kind, name in _WRAPPERS.items() if isinstance(module, kind)), None):
        module = getattr(module, holder)
    if isinstance(module, torch.jit.ScriptModule):
        raise WorkloadError(
            "the model is TorchScript, which can't be exported or changed; give the nn.Module it was made from, or "
            "store that with torch.export.save(torch.export.export(…), 'model.pt2')"
        )
    return folded_parametrizations(module)


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


def require_output(module: torch.nn.Module, example: torch.Tensor) -> None:
    """Raise :class:`WorkloadError` unless the module gives one float tensor [batch, …] for ``example``."""
    _check.outputs_of(module, example)


def labelled(inputs: torch.Tensor, labels: Any, what: str) -> Data:
    """Examples to train on; :class:`WorkloadError` where the labels are no class numbers, one for each input."""
    return _data.read((inputs, labels), what)[0]


def as_float(inputs: Any, what: str) -> torch.Tensor:
    """Inputs as a float32 tensor [N, …] on the CPU, from a tensor or array of other floats or whole numbers.

    Raises
    ------
    WorkloadError
        They are no array of real numbers, have no first dimension for the batch, or are bytes of images, whose scale
        only the caller knows.
    """
    if not isinstance(inputs, torch.Tensor):
        try:
            inputs = torch.as_tensor(inputs)
        except (TypeError, ValueError, RuntimeError) as error:
            raise WorkloadError(
                f"{what} is of type {type(inputs).__name__}, which is no array of numbers ({one_line(error)}); "
                "give a float32 tensor [batch, …]"
            ) from None
    if inputs.is_complex():
        raise WorkloadError(f"{what} is {inputs.dtype}; give real numbers")
    if inputs.dim() == 0 or len(inputs) == 0:
        raise WorkloadError(f"{what} has shape {list(inputs.shape)}; it has to be [batch, …] with one example or more")
    if inputs.dtype == torch.uint8 and inputs.dim() >= 3:
        raise WorkloadError(f"{what} is uint8; give float32 as the model takes it, for instance {what}.float() / 255")
    return inputs.detach().to("cpu", torch.float32).contiguous()
