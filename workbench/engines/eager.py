"""PyTorch as it comes: no compilation, every operation one call. Runs any model, on any device."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from workbench import precisions
from workbench.engines._base import Engine, Kernel, Runner
from workbench.engines._inputs import InputForm, use_threads
from workbench.engines._judge import judge, quantized_layers
from workbench.engines._program import executed, save_program
from workbench.engines._times import median_times_ms, node_times_ms
from workbench.graph.layers import in_graph, owners
from workbench.machine.devices import kind_of
from workbench.plumbing.lazy import lazy
from workbench.precisions import find as find_precision
from workbench.workload import Data

if TYPE_CHECKING:
    import torch

    from workbench.graph.layers import Layer
    from workbench.variant import Variant
    from workbench.workload import Inputs
else:
    torch = lazy("torch")

SIMULATED = "eager PyTorch imitates integers: it rounds to fewer bits, then computes in float32"
_OF_FLOATS = "eager PyTorch multiplies no float32 by floats of eight bits: weights become float32 at each call"


class Eager(Engine):
    """Runs modules as they are; int8 graphs step by step, simulated in float32."""

    name = "eager"
    title = "PyTorch eager"
    devices = ("cpu", "cuda", "mps")
    libraries = ("torch", "torchao")
    takes_any_size = True
    rank = 0
    preference = 40
    is_baseline = is_reference = True

    @property
    def precisions(self) -> tuple[str, ...]:
        """All there are: what PyTorch has no kernels for, it imitates."""
        return tuple(precisions.registered())

    def unavailable(self) -> str | None:
        return None

    def refuses_here(self, precision: str, device: str) -> str | None:
        if precision == "int8-dynamic" and device == "mps":
            return "eager int8-dynamic computes its scales in float64, which mps doesn't have; use the CPU"
        if find_precision(precision).is_imitated and device == "mps":
            return f"{precision} is of floats that mps doesn't have; use the CPU"
        return None

    def runner(
        self, variant: Variant, example: Inputs, device: str, threads: int, checkpoint: Callable[[], None]
    ) -> Runner:
        return EagerRunner(variant, example, device, threads)


class EagerRunner(Runner):
    """Results are on the inputs' own device: for CPU inputs that waits for the accelerator to finish."""

    def __init__(self, variant: Variant, example: Inputs, device: str, threads: int) -> None:
        self._variant, self._device, self._threads = variant, device, threads
        self._example, self._form = example, InputForm.of(example)
        self._module = executed(variant)
        if device != "cpu":
            import copy

            self._module = copy.deepcopy(self._module).to(device)

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        use_threads(self._threads)
        with torch.inference_mode():
            outputs = self._module(*self._form.fit(inputs, self._device))
            return outputs.float().to(inputs[0].device)

    @cached_property
    def kernels(self) -> dict[str, Kernel]:
        """By layer, the aten operations it calls; found by watching one call on the example."""
        if self._variant.graph is not None:
            quantized = quantized_layers(self._variant)
            return {
                call.name: self._judged(call, call.name in quantized)
                for call in in_graph(self._variant.graph.graph)
                if call.weighs
            }
        dtype = self._variant.formats.cast or "float32"
        example = self._form.fit(self._example, self._device)
        called = _operations_by_layer(self._modules(), lambda: self._module(*example))
        return {
            name: judge(self._variant, name, False, " + ".join(called[name]), dtype, "")
            for name, layer in self._variant.module.named_modules()
            if name in called and any(True for _ in layer.parameters(recurse=False))
        }

    def _judged(self, call: Layer, quantized: bool) -> Kernel:
        why = _OF_FLOATS if self._variant.formats_of(call.name).is_imitated else SIMULATED
        return judge(self._variant, call.name, quantized, call.operation, "float32", why)

    def layer_times_ms(self, inputs: Inputs | torch.Tensor, repeats: int = 20) -> dict[str, float]:
        """Median time of each leaf module; in an int8 graph rounding counts to the layer it feeds."""
        use_threads(self._threads)
        inputs = self._form.fit(Data(inputs).inputs, self._device)
        measure = self._time_modules if self._variant.graph is None else self._time_nodes
        with torch.inference_mode():
            self._module(*inputs)
            return median_times_ms(measure(inputs) for _ in range(repeats))

    def save(self, directory: str | Path) -> list[Path]:
        return [save_program(self._variant, self._example, directory)]

    def close(self) -> None:
        self._module = None

    def _modules(self) -> dict[str, torch.nn.Module]:
        """The modules of what runs, by their names in the variant's module."""
        root = self._module.model if self._variant.formats.cast else self._module
        return {name: child for name, child in root.named_modules() if name}

    def _layers(self) -> dict[str, torch.nn.Module]:
        """Those that hold no others."""
        return {name: child for name, child in self._modules().items() if not any(child.children())}

    def _now_ms(self) -> float:
        kind_of(self._device).synchronize(self._device)
        return time.perf_counter() * 1e3

    def _time_modules(self, inputs: Inputs) -> dict[str, float]:
        spent = defaultdict(float)
        started = {}

        def before(name):
            def hook(*_):
                started[name] = self._now_ms()

            return hook

        def after(name):
            def hook(*_):
                spent[name] += self._now_ms() - started[name]

            return hook

        handles = []
        try:
            for name, child in self._layers().items():
                handles += [child.register_forward_pre_hook(before(name)), child.register_forward_hook(after(name))]
            self._module(*inputs)
        finally:
            for handle in handles:
                handle.remove()
        return spent

    def _time_nodes(self, inputs: Inputs) -> dict[str, float]:
        spent = defaultdict(float)
        owner_of = owners(self._module.graph)

        for node, milliseconds in node_times_ms(self._module, inputs, self._now_ms).items():
            if node in owner_of:
                spent[owner_of[node]] += milliseconds
        return spent


def _operations_by_layer(layers: dict[str, torch.nn.Module], call: Callable) -> dict[str, list[str]]:
    """The aten operations each module calls; a convolution with the backend PyTorch chooses for it."""
    from torch.utils._python_dispatch import TorchDispatchMode

    inside: list[str] = []
    called = defaultdict(list)

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            if inside:
                name = f"aten::{function.__name__.split('.')[0]}"
                if name == "aten::convolution" and hasattr(torch._C, "_select_conv_backend"):
                    backend = torch._C._select_conv_backend(*args)
                    name += f" ({str(backend).split('.')[-1]})"
                if name not in called[inside[-1]] and name not in _NO_WORK:
                    called[inside[-1]].append(name)
            return function(*args, **(kwargs or {}))

    handles = []
    try:
        for name, child in layers.items():
            handles.append(child.register_forward_pre_hook(lambda *_, name=name: inside.append(name)))
            handles.append(child.register_forward_hook(lambda *_: (inside.pop(), None)[1]))
        with torch.no_grad(), Watch():  # inference_mode would hide what conv2d and linear break down to
            call()
    finally:
        for handle in handles:
            handle.remove()
    return called


_NO_WORK = {
    "aten::t", "aten::view", "aten::detach", "aten::_unsafe_view", "aten::transpose", "aten::empty", "aten::zeros",
    "aten::clone", "aten::select", "aten::stack",
}  # fmt: skip
