"""What every engine is: a way to turn a variant into a function that is called with a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from workbench.graph.work import Work
from workbench.receipt import LayerReceipt, Reality

if TYPE_CHECKING:
    import torch

    from workbench.variant import Precision, Variant


@dataclass(frozen=True)
class Kernel:
    """What executes one layer.

    ``reality`` compares with what the recipe asked for: "real" (this dtype's own kernel ran),
    "simulated" (the arithmetic was imitated in another dtype) or "unchanged" (runs as before).
    ``dtype`` is what the kernel computes in, or where only weights are quantized, what these are stored
    in; ``reason`` is one line wherever it isn't "real".
    """

    name: str
    dtype: str
    reality: Reality
    reason: str = ""


def weight_only_refusal(title: str) -> str:
    """Why an engine refuses schemes that quantize weights alone."""
    return f"{title} isn't given models whose weights alone are quantized; choose native, or eager, which imitates them"


class LayerTimesUnavailable(Exception):
    """The engine can't time single layers; the message says why."""


class Runner(ABC):
    """A prepared variant. Calling it takes float32 [batch, …] and returns float32 logits."""

    kernels: Mapping[str, Kernel]
    """By layer (the qualified name of the module in the variant, "features.0")."""

    notices: tuple[str, ...] = ()
    """What else is to be known of it, a line each; set by ``wb.prepare``."""

    write_receipt: Callable[[], tuple[LayerReceipt, ...]] | None = None
    """Measures and writes :attr:`receipt`; set where the model that it is compared with is known."""

    @cached_property
    def receipt(self) -> tuple[LayerReceipt, ...]:
        """What really happened, layer by layer; measured when first asked for, of a runner from ``wb.prepare``."""
        if self.write_receipt is None:
            raise AttributeError("only a runner from wb.prepare knows the model that its receipt compares with")
        return self.write_receipt()

    @abstractmethod
    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Run one batch. Any batch size works; the one prepared for is the fast one."""

    def layer_times_ms(self, inputs: torch.Tensor, repeats: int = 20) -> dict[str, float]:
        """Median milliseconds by layer; :class:`LayerTimesUnavailable` where the engine can't say."""
        raise LayerTimesUnavailable("this engine doesn't time single layers")

    def layer_work(self, inputs: torch.Tensor) -> dict[str, list[Work]]:
        """What :meth:`layer_times_ms` times, by layer, in parts done one after the other; empty where unknown."""
        return {}

    def save(self, directory) -> list:
        """Write what can be taken away (``model.pt2``, ``model.onnx``, …) and return the paths."""
        return []

    def close(self) -> None:  # noqa: B027, most runners have nothing to give back
        """Give back memory and threads. The runner must not be called afterwards."""


class Engine(ABC):
    """One way to execute a model. Stateless: everything it makes lives in its runners."""

    name: ClassVar[str]
    title: ClassVar[str]
    slow_to_prepare: ClassVar[bool] = False
    """Takes seconds even for a small model: never prepared ahead in the worker's own process."""
    is_reference: ClassVar[bool] = False
    """It runs modules and graphs as PyTorch does: what other engines are compared with."""

    @abstractmethod
    def unavailable(self) -> str | None:
        """Why it can't be used on this machine, with the line to install it; ``None`` when it can.

        Cheap and without importing torch or the engine's library: widgets ask in the kernel.
        """

    def refuses(self, precision: Precision, device: str) -> str | None:
        """Why it can't run this precision on this device; ``None`` when it can."""
        return None if device == "cpu" else f"{self.title} runs on the CPU here"

    def saturates(self) -> bool:
        """Whether it adds pairs of 8-bit products in 16 bits here, which overflow: 255 · 127 · 2 > 32,767.

        Then the same recipe is quantized in a reduced range for it: 7 bits for one of the factors.
        """
        return False

    @abstractmethod
    def prepare(
        self,
        variant: Variant,
        example: torch.Tensor,
        *,
        device: str = "cpu",
        threads: int,
        checkpoint: Callable[[], None] = lambda: None,
    ) -> Runner:
        """Make a runner for batches shaped like ``example`` (float32 [batch, …]).

        ``checkpoint`` is called often and raises ``Cancelled`` when the run was cancelled.
        Raises :class:`workbench.errors.EngineError`, naming the operation where one is to blame.
        """
