"""PyTorch's own compiler: Inductor ahead of time, with the weights folded into the code (freezing)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.engines._base import Engine, LayerTimesUnavailable, Runner
from workbench.engines._inputs import as_batch, use_threads
from workbench.engines._program import save_program
from workbench.engines.compiled.code import kernels
from workbench.engines.compiled.packages import (
    Build,
    cached_package,
    compiler,
    load,
    package_target,
    program_of,
    start_build,
)
from workbench.errors import EngineError
from workbench.machine.instructions import pairs_saturate
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch

    from workbench.variant import Variant
else:
    torch = lazy("torch")

POLL_SECONDS = 0.02


class Compiled(Engine):
    """Takes seconds to build once; the result is kept on disk and then loads in milliseconds."""

    name = "compiled"
    title = "PyTorch compiled"
    precisions = ("fp32", "bf16", "int8-static", "int8-dynamic")
    rank = 10
    is_baseline = True
    slow_to_prepare = True

    def unavailable(self) -> str | None:
        if sys.platform == "win32":
            return "compiled models are built in POSIX process groups, which Windows doesn't have"
        if compiler() is None:
            return "no C++ compiler found; install one (apt install g++, or xcode-select --install) or set CXX"
        return None

    def saturates(self) -> bool:
        return pairs_saturate(onednn=True)

    def build(self, variant: Variant, example: torch.Tensor, threads: int) -> Build | None:
        if cached_package(package_target(variant, example, threads)) is not None:
            return None
        return start_build(variant, example, threads, niceness=10)

    def runner(
        self, variant: Variant, example: torch.Tensor, device: str, threads: int, checkpoint: Callable[[], None]
    ) -> Runner:
        target = package_target(variant, example, threads)
        package = cached_package(target)
        if package is None:
            package = _built(variant, example, threads, checkpoint)
        return CompiledRunner(variant, example, package, threads)


def _built(variant: Variant, example: torch.Tensor, threads: int, checkpoint: Callable[[], None]) -> Path:
    build = start_build(variant, example, threads, niceness=5)
    build.resume()
    try:
        while not build.wait(POLL_SECONDS):
            checkpoint()
    except BaseException:
        build.kill()
        raise
    package = cached_package(build.target)
    if package is None:
        raise EngineError(f"the compiled model vanished from {build.target.parent}; run it again")
    return package


class CompiledRunner(Runner):
    """Runs batches of the prepared size; others are split, the last part filled up with its own rows.

    Repeated rows leave the smallest and largest values as they are, so that a dynamically quantized
    model finds the same scales as without them. It does find its scales per part, not per batch.
    """

    def __init__(self, variant: Variant, example: torch.Tensor, package: Path, threads: int) -> None:
        self._variant, self._example, self._threads = variant, example, threads
        self._features = tuple(example.shape[1:])
        use_threads(threads)
        self._model = load(package)
        self.kernels = kernels(variant, program_of(variant, example), package)

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        use_threads(self._threads)
        inputs = as_batch(inputs, self._features)
        batch = len(self._example)
        if len(inputs) == batch:
            return self._model(inputs)
        return torch.cat([self._part(part) for part in inputs.split(batch)])

    def layer_times_ms(self, inputs: torch.Tensor, repeats: int = 20) -> dict[str, float]:
        raise LayerTimesUnavailable("Inductor fuses operations across layers, so single layers have no time here")

    def save(self, directory: str | Path) -> list[Path]:
        return [save_program(self._variant, self._example, directory)]

    def close(self) -> None:
        self._model = None

    def _part(self, inputs: torch.Tensor) -> torch.Tensor:
        batch = len(self._example)
        if len(inputs) == batch:
            return self._model(inputs)
        rows = torch.arange(batch) % len(inputs)
        return self._model(inputs[rows].contiguous())[: len(inputs)]
