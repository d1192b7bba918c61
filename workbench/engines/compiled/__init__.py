"""PyTorch's own compiler: Inductor ahead of time, with the weights folded into the code (freezing)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.engines._base import Engine, LayerTimesUnavailable, Runner
from workbench.engines._inputs import InputForm, use_threads
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
from workbench.workload import Data

if TYPE_CHECKING:
    import torch

    from workbench.variant import Variant
    from workbench.workload import Inputs
else:
    torch = lazy("torch")

POLL_SECONDS = 0.02


class Compiled(Engine):
    """Takes seconds to build once; the result is kept on disk and then loads in milliseconds."""

    name = "compiled"
    title = "PyTorch compiled"
    precisions = ("fp32", "bf16", "fp16", "int8-static", "int8-dynamic")
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

    def build(self, variant: Variant, example: Inputs | torch.Tensor, threads: int) -> Build | None:
        example = Data(example).inputs
        self.require_sizes(example)
        if cached_package(package_target(variant, example, threads)) is not None:
            return None
        return start_build(variant, example, threads, niceness=10)

    def runner(
        self, variant: Variant, example: Inputs, device: str, threads: int, checkpoint: Callable[[], None]
    ) -> Runner:
        target = package_target(variant, example, threads)
        package = cached_package(target)
        if package is None:
            package = _built(variant, example, threads, checkpoint)
        return CompiledRunner(variant, example, package, threads)


def _built(variant: Variant, example: Inputs, threads: int, checkpoint: Callable[[], None]) -> Path:
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

    def __init__(self, variant: Variant, example: Inputs, package: Path, threads: int) -> None:
        self._variant, self._example, self._threads = variant, example, threads
        self._form, self._batch = InputForm.of(example), len(example[0])
        use_threads(threads)
        self._model = load(package)
        self.kernels = kernels(variant, program_of(variant, example), package)

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        use_threads(self._threads)
        inputs = self._form.fit(inputs)
        if len(inputs[0]) == self._batch:
            return self._model(*inputs)
        return torch.cat([self._part(part.inputs) for part in Data(inputs).batches(self._batch)])

    def layer_times_ms(self, inputs: Inputs | torch.Tensor, repeats: int = 20) -> dict[str, float]:
        raise LayerTimesUnavailable("Inductor fuses operations across layers, so single layers have no time here")

    def save(self, directory: str | Path) -> list[Path]:
        return [save_program(self._variant, self._example, directory)]

    def close(self) -> None:
        self._model = None

    def _part(self, inputs: Inputs) -> torch.Tensor:
        count = len(inputs[0])
        if count == self._batch:
            return self._model(*inputs)
        filled = Data(inputs).at(torch.arange(self._batch) % count).inputs
        return self._model(*filled)[:count]
