"""Models compiled ahead of time by AOTInductor: built in a process of their own, kept on disk."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.engines._inputs import InputForm
from workbench.engines._program import executed, remembered
from workbench.engines.compiled.instructions import find_instruction_sets
from workbench.errors import EngineError
from workbench.graph import export
from workbench.machine.instructions import cpu_flags
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch

    from workbench.variant import Variant
    from workbench.workload import Inputs
else:
    torch = lazy("torch")

KEPT_BYTES = 2**30
"""How much compiled code stays on disk; the least recently built goes first."""

_running: dict[Path, Build] = {}


def package_target(variant: Variant, example: Inputs, threads: int) -> Path:
    """Where the package for this variant, batch and machine belongs: its path without digest and suffix.

    The name is a sha256 over the program's code and weights, the inputs' shapes and dtypes, the threads and everything
    of this machine that the generated code depends on.
    """
    key = ("aoti key", InputForm.of(example), len(example[0]), threads)
    return _directory() / remembered(variant, key, lambda: _key(program_of(variant, example), example, threads))


def cached_package(target: Path) -> Path | None:
    """The finished package for ``target``. One that doesn't match its digest is removed."""
    for path in target.parent.glob(f"{target.name}.*.pt2"):
        if hashlib.sha256(path.read_bytes()).hexdigest() == path.name.split(".")[1]:
            return path
        path.unlink(missing_ok=True)
    return None


def load(package: Path) -> Callable[..., torch.Tensor]:
    """The compiled model, ready to be called."""
    find_instruction_sets(_directory() / "inductor")
    return torch._inductor.aoti_load_package(str(package))


def start_build(variant: Variant, example: Inputs, threads: int, niceness: int) -> Build:
    """Start compiling, or join the build of the same package that this process already runs."""
    target = package_target(variant, example, threads)
    build = _running.get(target)
    if build is None or build.ended:
        build = _running[target] = Build(program_of(variant, example), target, threads, niceness, variant)
    return build


class Build:
    """A compilation going on in a process group of its own."""

    def __init__(
        self, program: torch.export.ExportedProgram, target: Path, threads: int, niceness: int, variant: Variant
    ) -> None:
        self.target = target
        self._workplace = tempfile.TemporaryDirectory(prefix="workbench-build-")
        directory = Path(self._workplace.name)
        torch.export.save(program, directory / "program.pt2")
        request = {
            "target": str(target),
            "shared": str(target.parent / "inductor"),
            "threads": threads,
            "niceness": niceness,
            "quantized": variant.graph is not None,
        }
        (directory / "request.json").write_text(json.dumps(request))
        self._log = directory / "log.txt"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "workbench.engines.compiled.build", str(directory)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                process_group=0,
                env={**os.environ, "TMPDIR": str(directory), "OMP_NUM_THREADS": str(threads)},
            )

    @property
    def ended(self) -> bool:
        """Whether it is over, well or not."""
        return self._process is None

    def poll(self) -> bool:
        """Whether the package is ready.

        Raises
        ------
        EngineError
            When the compilation failed or was killed, with the compiler's last line.
        """
        if self._process is None:
            if cached_package(self.target) is None:
                raise EngineError("the compilation was stopped before it was finished; run it again")
            return True
        if (code := self._process.poll()) is None:
            return False
        lines = [line.strip() for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        self._end()
        if code != 0:
            raise EngineError(f"the model can't be compiled: {lines[-1][:300] if lines else f'exit code {code}'}")
        _drop_oldest(self.target.parent)
        return True

    def wait(self, seconds: float) -> bool:
        """Wait up to ``seconds`` for the end; then like :meth:`poll`."""
        if self._process is not None:
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                return False
        return self.poll()

    def pause(self) -> None:
        """Stop using the CPU until :meth:`resume`: a measurement is going on.

        It has stopped on return: the system wakes those whose parent dies, so that they end too, but not one that was
        only told to stop.
        """
        self._signal(signal.SIGSTOP)
        if self._process is not None and hasattr(os, "waitid"):
            with contextlib.suppress(ChildProcessError):  # it has ended, and that is known already
                os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it and its compilers at once; nothing is kept."""
        self._signal(signal.SIGKILL)
        self._end()

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def _end(self) -> None:
        if self._process is not None:
            self._process.stdin.close()
            self._process.wait()
            self._process = None
            self._workplace.cleanup()
            if _running.get(self.target) is self:
                del _running[self.target]


def program_of(variant: Variant, example: Inputs) -> torch.export.ExportedProgram:
    """What is compiled: ``variant`` exported for just the example's shapes."""

    def make() -> torch.export.ExportedProgram:
        module = executed(variant)
        if any(each.activations and not each.is_calibrated for each in variant.all_formats):
            module = _with_zero_in_range(module)
        if any(each.is_calibrated for each in variant.all_formats):
            module = _with_transposed_floats(module)
        return export(module, example, fixed_batch=True)

    return remembered(variant, ("aoti program", InputForm.of(example), len(example[0])), make)


def _with_zero_in_range(graph_module: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """A copy that spells ``choose_qparams`` out, with 0 always within the range of the 8-bit values.

    Inductor's own version of it (torch 2.13) leaves 0 out: inputs that are all positive then get too
    small a scale, and saturate.
    """
    import copy

    aten = torch.ops.aten
    result = copy.deepcopy(graph_module)
    graph = result.graph
    for node in list(graph.nodes):
        if node.target is not torch.ops.quantized_decomposed.choose_qparams.tensor:
            continue
        values, lowest, highest, smallest_scale, _ = node.args
        with graph.inserting_before(node):
            call = graph.call_function
            low = call(aten.clamp.default, (call(aten.amin.default, (values,)), None, 0.0))
            high = call(aten.clamp.default, (call(aten.amax.default, (values,)), 0.0, None))
            width = call(aten.div.Tensor, (call(aten.sub.Tensor, (high, low)), float(highest - lowest)))
            scale = call(aten.clamp.default, (width, smallest_scale))
            steps = call(aten.neg.default, (call(aten.round.default, (call(aten.div.Tensor, (low, scale)),)),))
            shifted = call(aten.add.Tensor, (steps, float(lowest)))
            zero = call(aten.clamp.default, (shifted, float(lowest), float(highest)))
            chosen = (
                call(aten._to_copy.default, (scale,), {"dtype": torch.float64}),
                call(aten._to_copy.default, (zero,), {"dtype": torch.int64}),
            )
        for item in list(node.users):
            item.replace_all_uses_with(chosen[item.args[1]])
            graph.erase_node(item)
        graph.erase_node(node)
    result.recompile()
    return result


def _with_transposed_floats(graph_module: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """A copy in which the weights of transposed convolutions are floats, the same numbers.

    Inductor (torch 2.13) takes one of bytes for a convolution that isn't transposed.
    """
    import copy
    import operator

    result = copy.deepcopy(graph_module)
    calls = [node for node in result.graph.nodes if node.op == "call_function" and "conv_transpose" in str(node.target)]
    for number, weight in enumerate(dict.fromkeys(node.args[1] for node in calls)):
        if weight.op == "get_attr":
            continue
        arguments = torch.fx.node.map_arg(weight.args, lambda each: operator.attrgetter(each.target)(result))
        result.register_buffer(f"_transposed{number}", weight.target(*arguments))
        with result.graph.inserting_before(weight):
            weight.replace_all_uses_with(result.graph.get_attr(f"_transposed{number}"))
        result.graph.erase_node(weight)
    result.recompile()
    return result


def _key(program: torch.export.ExportedProgram, example: Inputs, threads: int) -> str:
    digest = hashlib.sha256()
    given = [(list(each.shape), str(each.dtype)) for each in example]
    description = [program.graph_module.code, str(program.graph_signature), given, threads]
    # Frozen weights are laid out for the instruction set that oneDNN is allowed.
    machine = [torch.__version__, sorted(cpu_flags()), compiler(), os.environ.get("ONEDNN_MAX_CPU_ISA")]
    digest.update(repr([*description, *machine]).encode())
    for name, tensor in sorted({**program.state_dict, **program.constants}.items()):
        if isinstance(tensor, torch.Tensor):
            digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:32]


@cache
def compiler() -> str | None:
    """The C++ compiler Inductor would use, with its version; None where there is none."""
    import shutil

    for name in filter(None, (os.environ.get("CXX"), "g++", "clang++")):
        if path := shutil.which(name):
            version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            return f"{path} {version.partition(chr(10))[0]}"
    return None


def _directory() -> Path:
    import platformdirs

    directory = Path(platformdirs.user_cache_dir("model-workbench")) / "compiled"
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.access(directory, os.W_OK):
            return directory
    except OSError:
        pass  # a read-only home: compiled models then last as long as this process
    return _lasting_directory()


@cache
def _lasting_directory() -> Path:
    import atexit

    directory = tempfile.TemporaryDirectory(prefix="workbench-compiled-")
    atexit.register(directory.cleanup)
    return Path(directory.name)


def _drop_oldest(directory: Path) -> None:
    packages = sorted(directory.glob("*.pt2"), key=lambda path: path.stat().st_mtime, reverse=True)
    total = 0
    for path in packages:
        total += path.stat().st_size
        if total > KEPT_BYTES and path is not packages[0]:
            path.unlink(missing_ok=True)
