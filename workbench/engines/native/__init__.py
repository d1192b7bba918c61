"""The workbench's own compiled engine: a whole model in one call, fused, in int8, bf16 or float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from workbench import kernels
from workbench.engines._base import PT2, Engine, Runner
from workbench.engines.native.pieces import PiecewiseRunner
from workbench.engines.native.runner import PROGRAM, NativeRunner
from workbench.errors import EngineError
from workbench.graph import export
from workbench.graph.fused.cut import cut
from workbench.graph.fused.lower.storage import lowered
from workbench.graph.fused.read.reader import read
from workbench.graph.fused.read.writes import refuse_changed_constants

if TYPE_CHECKING:
    from workbench.variant import Variant
    from workbench.workload import Inputs


class Native(Engine):
    """Reads the exported graph, fuses it, and runs it with kernels made for this processor."""

    name = "native"
    title = "Native"
    precisions = (
        *("fp32", "bf16", "int8-static", "int8-dynamic"),
        *(f"int{bits}-weights" for bits in range(8, 1, -1)),
        *("ternary-weights", "binary-weights"),
    )
    libraries = ("torch", "torchao")
    rank = 20
    preference = 10
    exports = (PT2, PROGRAM)

    def unavailable(self) -> str | None:
        if reason := kernels.unavailable():
            return reason
        try:
            kernels.chosen_isa()
        except EngineError as error:
            return str(error)
        return None

    def refuses_here(self, precision: str, device: str) -> str | None:
        if precision == "bf16" and not self.unavailable() and not kernels.multiplies_bf16(kernels.chosen_isa()):
            return f"{kernels.chosen_isa()} has no bf16 kernels; choose int8-static, or openvino or compiled for bf16"
        return None

    def runner(
        self, variant: Variant, example: Inputs, device: str, threads: int, checkpoint: Callable[[], None]
    ) -> Runner:
        # bf16 is a matter of storage here: the float32 model is read, so that batch norms fold before they are rounded.
        module = variant.graph if variant.graph is not None else export(variant.module, example).module()
        checkpoint()
        refuse_changed_constants(module.graph)
        try:
            graph = read(module)
        except EngineError:  # a part of it has no kernel: PyTorch runs that part
            return PiecewiseRunner(variant, module, cut(module), example, threads, checkpoint)
        return NativeRunner(variant, lowered(graph, variant.precision), example, threads, checkpoint)
