"""What every engine is: a way to turn a variant into a function that is called with a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Protocol

from workbench.errors import EngineError
from workbench.graph.work import Work
from workbench.precisions import find as find_precision
from workbench.receipt import LayerReceipt, Reality
from workbench.workload import Data, VaryingInputs

if TYPE_CHECKING:
    import torch

    from workbench.variant import Variant
    from workbench.workload import Inputs


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


@dataclass(frozen=True)
class Export:
    """A file that runners save, and how it is run elsewhere.

    ``code`` are lines of Python for the file's own folder: from ``inputs``, a list of tensors, they make ``outputs``.
    Beside torch they need ``module``, which is imported before them; "" for nothing.
    """

    name: str
    module: str
    code: tuple[str, ...]


PT2 = Export("model.pt2", "", ('outputs = torch.export.load("model.pt2").module()(*inputs)',))
"""A :class:`torch.export.ExportedProgram` of PyTorch's own operations, which every engine saves."""


class LayerTimesUnavailable(Exception):
    """The engine can't time single layers; the message says why."""


class Runner(ABC):
    """A prepared variant. Calling it takes the model's inputs, one by one, and returns its output as float32."""

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
    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Run one batch, [batch, …] of each input. Any batch size works; the one prepared for is the fast one."""

    def layer_times_ms(self, inputs: Inputs | torch.Tensor, repeats: int = 20) -> dict[str, float]:
        """Median milliseconds by layer; :class:`LayerTimesUnavailable` where the engine can't say."""
        raise LayerTimesUnavailable("this engine doesn't time single layers")

    def layer_work(self, inputs: Inputs | torch.Tensor) -> dict[str, list[Work]]:
        """What :meth:`layer_times_ms` times, by layer, in parts done one after the other; empty where unknown."""
        return {}

    def save(self, directory) -> list:
        """Write what can be taken away, of what the engine :attr:`exports <Engine.exports>`, and return the paths."""
        return []

    def close(self) -> None:  # noqa: B027, most runners have nothing to give back
        """Give back memory and threads. The runner must not be called afterwards."""


class Build(Protocol):
    """A process that makes what an engine will need."""

    def poll(self) -> bool:
        """Whether it is done; raises :class:`workbench.errors.EngineError` when it failed."""

    def pause(self) -> None:
        """Stop it where it is."""

    def resume(self) -> None:
        """Go on with it."""

    def kill(self) -> None:
        """Give it up."""


class Engine(ABC):
    """One way to execute a model. Stateless: everything it makes lives in its runners."""

    name: ClassVar[str]
    title: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]]
    """The names of those it runs: what isn't named is refused."""
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    """The kinds of devices it runs on."""
    libraries: ClassVar[tuple[str, ...]] = ("torch",)
    """Installed packages that its figures depend on: their versions are part of every result's key."""
    rank: ClassVar[int]
    """Where it stands among the others on the page."""
    preference: ClassVar[int | None] = None
    """Where it stands among those that "auto" tries, the least first; ``None``: it is never tried."""
    is_baseline: ClassVar[bool] = False
    """Whether it may be the plain fp32 that variants are compared with when the baseline is "auto"."""
    is_reference: ClassVar[bool] = False
    """It runs modules and graphs as PyTorch does: what other engines are compared with. One engine is."""
    exports: ClassVar[tuple[Export, ...]] = (PT2,)
    """What its runners save."""
    takes_any_size: ClassVar[bool] = False
    """Whether other dimensions than the batch may vary from call to call."""
    slow_to_prepare: ClassVar[bool] = False
    """Takes seconds even for a small model: never prepared ahead in the worker's own process."""

    @abstractmethod
    def unavailable(self) -> str | None:
        """Why it can't be used on this machine, with the line to install it; ``None`` when it can.

        Cheap and without importing torch or the engine's library: widgets ask in the kernel.
        """

    def refuses(self, precision: str, device: str) -> str | None:
        """Why it can't run this precision on this device, with what to choose; ``None`` when it can."""
        if device.partition(":")[0] not in self.devices:
            return f"{self.title} runs on {' or '.join(self.devices)} here; choose device {self.devices[0]}"
        if (find_precision(precision).multiplied_as or precision) not in self.precisions:
            return self.lacks(precision)
        return self.refuses_here(precision, device)

    def lacks(self, precision: str) -> str:
        """Why a precision isn't among :attr:`precisions`, with what to choose."""
        if find_precision(precision).is_imitated:
            return f"{self.title} has no kernel for {precision}; choose eager, which imitates it"
        if find_precision(precision).weights_only:
            return (
                f"{self.title} isn't given models whose weights alone are quantized; choose native, or eager, which "
                "imitates them"
            )
        return f"{self.title} has no {precision}; choose one of {', '.join(self.precisions)}"

    def refuses_here(self, precision: str, device: str) -> str | None:
        """Why it can't run one of its precisions on this machine, with what to choose; ``None`` when it can."""
        return None

    def why_not(self, precision: str | Collection[str], device: str) -> str | None:
        """Why it can't be asked for a precision, or for several in one model; ``None`` when it can."""
        if reason := self.unavailable():
            return f"{self.title} isn't available: {reason}"
        for each in (precision,) if isinstance(precision, str) else precision:
            if reason := self.refuses(each, device):
                return f"{self.title} can't run {each} on {device}: {reason}"
        return None

    def saturates(self) -> bool:
        """Whether it adds pairs of 8-bit products in 16 bits here, which overflow: 255 · 127 · 2 > 32,767.

        Then the same recipe is quantized in a reduced range for it: 7 bits for one of the factors.
        """
        return False

    def build(self, variant: Variant, example: Inputs | torch.Tensor, threads: int) -> Build | None:
        """Start to make, gently and in another process, what :meth:`prepare` takes seconds for.

        ``None`` where there is nothing to wait for. Raises :class:`workbench.errors.EngineError` when the model can't
        be exported.
        """
        return None

    def prepare(
        self,
        variant: Variant,
        example: Inputs | torch.Tensor,
        *,
        device: str = "cpu",
        threads: int,
        checkpoint: Callable[[], None] = lambda: None,
    ) -> Runner:
        """Make a runner for batches like ``example``: [batch, …] of each input; a lone tensor is one.

        ``checkpoint`` is called often and raises ``Cancelled`` when the run was cancelled.
        Raises :class:`workbench.errors.EngineError` where it can't be asked for this, and naming the operation where
        one is to blame.
        """
        if reason := self.why_not(variant.precisions, device):
            raise EngineError(reason)
        self.require_sizes(Data(example).inputs)
        checkpoint()
        return self.runner(variant, Data(example).inputs, device, threads, checkpoint)

    def require_sizes(self, example: Inputs) -> None:
        """Raise :class:`workbench.errors.EngineError` where inputs vary in size and it prepares for one."""
        if isinstance(example, VaryingInputs) and not self.takes_any_size:
            raise EngineError(
                f"{self.title} prepares for inputs of one shape and these vary; choose an engine that takes them as "
                "they come (eager, onnxruntime, openvino), or bring the examples to one shape"
            )

    @abstractmethod
    def runner(
        self, variant: Variant, example: Inputs, device: str, threads: int, checkpoint: Callable[[], None]
    ) -> Runner:
        """What :meth:`prepare` returns, once it is known that this engine can be asked for it."""
