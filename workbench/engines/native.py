"""The workbench's own compiled engine: a whole model in one call, fused, in int8 or float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from workbench import kernels
from workbench.engines._base import Engine, Runner
from workbench.engines._native_cut import cut
from workbench.engines._native_fuse import fuse, give_every_kernel_its_storage
from workbench.engines._native_pieces import PiecewiseRunner
from workbench.engines._native_read import read
from workbench.engines._native_runner import NativeRunner
from workbench.engines._program import executed
from workbench.errors import EngineError
from workbench.graph import export

if TYPE_CHECKING:
    import torch

    from workbench.variant import Precision, Variant


class Native(Engine):
    """Reads the exported graph, fuses it, and runs it with kernels made for this processor."""

    name = "native"
    title = "Native"

    def unavailable(self) -> str | None:
        if reason := kernels.unavailable():
            return reason
        try:
            kernels.chosen_isa()
        except EngineError as error:
            return str(error)
        return None

    def refuses(self, precision: Precision, device: str) -> str | None:
        if device != "cpu":
            return "the native engine runs on the CPU; choose device cpu"
        if precision == "bf16":
            return "the native engine computes in int8 and float32; choose compiled or openvino for bf16"
        if precision == "int8-dynamic":
            return "the native engine takes int8 with fixed ranges; choose int8-static, or onnxruntime for int8-dynamic"
        return None

    def prepare(
        self,
        variant: Variant,
        example: torch.Tensor,
        *,
        device: str = "cpu",
        threads: int,
        checkpoint: Callable[[], None] = lambda: None,
    ) -> Runner:
        if reason := self.unavailable() or self.refuses(variant.precision, device):
            raise EngineError(reason)
        checkpoint()
        module = variant.graph if variant.graph is not None else export(executed(variant), example).module()
        checkpoint()
        try:
            graph = read(module)
        except EngineError:  # a part of it has no kernel: PyTorch runs that part
            return PiecewiseRunner(variant, module, cut(module), example, threads, checkpoint)
        return NativeRunner(variant, give_every_kernel_its_storage(fuse(graph)), example, threads, checkpoint)
