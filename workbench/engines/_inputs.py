"""What every runner does to its inputs first: check the shape, make them contiguous float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import EngineError
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


def as_batch(inputs: torch.Tensor, features: tuple[int, ...], device: str = "cpu") -> torch.Tensor:
    """Return ``inputs`` as contiguous float32 [batch, *features] on ``device``, copied only where needed.

    Raises
    ------
    EngineError
        When they are no tensor, empty, complex, or of another shape.
    """
    if not isinstance(inputs, torch.Tensor):
        raise EngineError(f"a runner takes a tensor, not {type(inputs).__name__}; convert it with torch.as_tensor")
    if tuple(inputs.shape[1:]) != features or inputs.dim() == 0:
        wanted = ", ".join(["batch", *map(str, features)])
        raise EngineError(f"the model was prepared for inputs [{wanted}], not {list(inputs.shape)}")
    if inputs.shape[0] == 0:
        raise EngineError("the batch is empty; give at least one input")
    if inputs.is_complex():
        raise EngineError(f"inputs are {inputs.dtype}; the engines take real numbers (float32)")
    if inputs.dtype is not torch.float32 or inputs.device.type != device.partition(":")[0]:
        inputs = inputs.to(device, torch.float32)
    return inputs.detach().contiguous()


def use_threads(threads: int) -> None:
    """Give torch's own kernels ``threads`` threads: other runners in this process may have other wishes."""
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
