"""What every runner does to its inputs first: check them, and bring them into the form that was prepared for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import EngineError
from workbench.plumbing.lazy import lazy
from workbench.workload import fits, free_of

if TYPE_CHECKING:
    import torch

    from workbench.workload import Inputs
else:
    torch = lazy("torch")


@dataclass(frozen=True)
class InputForm:
    """What a runner was prepared for: of each input its shape without the batch, and its dtype."""

    features: tuple[tuple[int | None, ...], ...]
    """``None`` where a size is free."""
    dtypes: tuple[torch.dtype, ...]
    """float32 for those that hold floats."""

    @staticmethod
    def of(example: Inputs) -> InputForm:
        """The form of inputs like these: [batch, …] of any dtype."""
        return InputForm(
            tuple(
                tuple(None if dim in dims else size for dim, size in enumerate(each.shape) if dim)
                for each, dims in zip(example, free_of(example), strict=True)
            ),
            tuple(torch.float32 if _is_inexact(each.dtype) else each.dtype for each in example),
        )

    def fit(self, inputs: Inputs, device: str = "cpu") -> Inputs:
        """Return ``inputs`` contiguous in their dtypes on ``device``, copied only where needed.

        Numbers stay what they are: whole ones become floats where floats are wanted, floats don't become whole.

        Raises
        ------
        EngineError
            When there are more or fewer, or one is no tensor, empty, complex, of another shape, of numbers that its
            dtype doesn't hold, or of another batch than the first.
        """
        if len(inputs) != len(self.features):
            wanted = "1 input" if len(self.features) == 1 else f"{len(self.features)} inputs"
            raise EngineError(f"the model takes {wanted}, not {len(inputs)}; give one tensor for each")
        fitting = tuple(self._one(number, each, device) for number, each in enumerate(inputs))
        batch = len(fitting[0])
        if any(len(each) != batch for each in fitting):
            lengths = ", ".join(str(len(each)) for each in fitting)
            raise EngineError(f"the inputs are of {lengths} examples; give as many in each")
        return fitting

    def _one(self, number: int, given: torch.Tensor, device: str) -> torch.Tensor:
        several = len(self.features) > 1
        if not isinstance(given, torch.Tensor):
            raise EngineError(f"a runner takes a tensor, not {type(given).__name__}; convert it with torch.as_tensor")
        if given.dim() == 0 or not fits(given.shape[1:], self.features[number]):
            wanted = ", ".join(["batch", *("any" if size is None else str(size) for size in self.features[number])])
            which = f"input {number + 1} as" if several else "inputs"
            raise EngineError(f"the model was prepared for {which} [{wanted}], not {list(given.shape)}")
        if given.shape[0] == 0:
            raise EngineError("the batch is empty; give at least one input")
        which = f"input {number + 1} is" if several else "inputs are"
        if given.is_complex():
            raise EngineError(f"{which} {given.dtype}; the engines take real numbers (float32)")
        if given.dtype is not self.dtypes[number] or given.device.type != device.partition(":")[0]:
            given = _converted(given, self.dtypes[number], which).to(device)
        return given.detach().contiguous()


def _converted(given: torch.Tensor, dtype: torch.dtype, which: str) -> torch.Tensor:
    if dtype is torch.float32 or torch.promote_types(given.dtype, dtype) is dtype:
        return given.to(dtype)
    if given.is_floating_point():
        raise EngineError(f"{which} {given.dtype} and the model was prepared for {dtype}; convert with .to({dtype})")
    converted = given.to(dtype)
    if not torch.equal(converted.to(given.dtype), given):
        raise EngineError(
            f"{which} {given.dtype} of numbers that {dtype}, which the model was prepared for, can't hold"
        )
    return converted


def _is_inexact(dtype: torch.dtype) -> bool:
    return dtype.is_floating_point or dtype.is_complex


def use_threads(threads: int) -> None:
    """Give torch's own kernels ``threads`` threads: other runners in this process may have other wishes."""
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
