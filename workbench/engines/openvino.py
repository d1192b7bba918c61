"""OpenVINO on the CPU: float32, bfloat16 and statically quantized int8, compiled in a blink."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.engines._base import PT2, Engine, Kernel, LayerTimesUnavailable, Runner
from workbench.engines._inputs import InputForm
from workbench.engines._judge import judge, quantized_layers
from workbench.engines._program import save_program
from workbench.engines.onnx.export import ONNX, OnnxModel, exported
from workbench.errors import EngineError
from workbench.graph.layers import weighted
from workbench.machine.identity import isa
from workbench.machine.instructions import pairs_saturate
from workbench.plumbing.lazy import lazy
from workbench.precisions import find as find_precision
from workbench.workload import Data

if TYPE_CHECKING:
    import numpy as np
    import onnx
    import openvino
    import torch

    from workbench.variant import Variant
    from workbench.workload import Inputs
else:
    torch = lazy("torch")
    onnx = lazy("onnx")
    openvino = lazy("openvino")

COMPUTE = {"Convolution", "Deconvolution", "FullyConnected", "MatMul"}
FUSED = "(fused with other layers)"
_HALVES = {"bf16": "bf16", "fp16": "f16"}
"""Precisions of two bytes → OpenVINO's names of them."""
DTYPES = {"f32": "float32", "bf16": "bfloat16", "u8": "int8", "i8": "int8", "f16": "float16"}


class OpenVino(Engine):
    """Runs the exported ONNX model, compiled for the example's shapes."""

    name = "openvino"
    title = "OpenVINO"
    precisions = ("fp32", *_HALVES, "int8-static")
    libraries = ("torch", "torchao", "onnx", "onnxscript", "openvino")
    rank = 40
    preference = 30
    exports = (PT2, ONNX)
    takes_any_size = True

    def unavailable(self) -> str | None:
        missing = [name for name in ("onnx", "onnxscript", "openvino") if find_spec(name) is None]
        return f"{missing[0]} is not installed; pip install {' '.join(missing)}" if missing else None

    def lacks(self, precision: str) -> str:
        if precision == "int8-dynamic":
            return (
                "OpenVINO has no convolution that quantizes its input as it runs; "
                "choose int8-static, or onnxruntime for int8-dynamic"
            )
        return super().lacks(precision)

    def refuses_here(self, precision: str, device: str) -> str | None:
        has, needed = set(isa()), find_precision(precision).instructions
        if precision in _HALVES and has and not has & needed:
            return f"OpenVINO has no {precision} kernels for this CPU; they need one of {', '.join(sorted(needed))}"
        return None

    def saturates(self) -> bool:
        return pairs_saturate(onednn=True)

    def runner(
        self, variant: Variant, example: Inputs, device: str, threads: int, checkpoint: Callable[[], None]
    ) -> Runner:
        model = exported(variant, example)
        checkpoint()
        return OpenVinoRunner(variant, example, model, threads)


class OpenVinoRunner(Runner):
    """Compiled for the example's shapes; a second model, compiled on demand, serves every other size."""

    def __init__(self, variant: Variant, example: Inputs, model: OnnxModel, threads: int) -> None:
        self._variant, self._example, self._model, self._threads = variant, example, model, threads
        self._form, self._shapes = InputForm.of(example), _shapes(example)
        self._options: dict[str, Any] = {}
        self._any_size: openvino.InferRequest | None = None
        compiled = self._compile(self._shapes)
        operations = _operations(compiled, model)
        if variant.precision != "fp32" and any(
            o.kind == "Subgraph" and o.layers - _computed(operations) for o in operations
        ):
            # OpenVINO may fuse linear layers into one generated kernel, without saying what that computes in.
            self._options = {"SNIPPETS_MODE": "DISABLE"}
            compiled = self._compile(self._shapes)
            operations = _operations(compiled, model)
        self._request = compiled.create_infer_request()
        # OpenVINO drops an input that the model doesn't use.
        self._used = [model.inputs.index(port.get_any_name()) for port in compiled.inputs]
        self.kernels = self._kernels(operations)

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        inputs = self._form.fit(inputs)
        request = self._request
        if _shapes(inputs) != self._shapes:
            if self._any_size is None:
                self._any_size = self._compile(self._any_shapes()).create_infer_request()
            request = self._any_size
        # The output is copied out of the request, which the next call overwrites; the input is not.
        return torch.from_numpy(request.infer(self._fed(inputs), share_inputs=True)[0])

    def layer_times_ms(self, inputs: Inputs | torch.Tensor, repeats: int = 20) -> dict[str, float]:
        """Medians of OpenVINO's own counters, from a model compiled with them."""
        inputs = self._form.fit(Data(inputs).inputs)
        alone = {layer for layer, kernel in self.kernels.items() if not kernel.name.endswith(FUSED)}
        request = self._compile(_shapes(inputs), PERF_COUNT=True).create_infer_request()
        samples = defaultdict(list)
        request.infer(self._fed(inputs))  # not counted: it also does what is done once
        for _ in range(repeats):
            request.infer(self._fed(inputs))
            spent = defaultdict(float)
            for entry in request.profiling_info:
                layer = self._model.layer_of(entry.node_name)
                if not layer or (layer in self.kernels and layer not in alone):
                    continue
                if entry.status == openvino.ProfilingInfo.Status.EXECUTED:  # else it's part of another
                    spent[layer] += entry.real_time.total_seconds() * 1e3
            for layer, milliseconds in spent.items():
                samples[layer].append(milliseconds)
        if not samples:
            raise LayerTimesUnavailable("OpenVINO runs this model's layers fused into one kernel")
        return {layer: statistics.median(values) for layer, values in samples.items()}

    def save(self, directory: str | Path) -> list[Path]:
        path = Path(directory) / ONNX.name
        onnx.save(self._model.proto, path)
        return [save_program(self._variant, self._example, directory), path]

    def close(self) -> None:
        self._request = self._any_size = None

    def _fed(self, inputs: Inputs) -> np.ndarray | list[np.ndarray]:
        """What OpenVINO is called with. Of one input an array, not a list: for a list it looks up the model's inputs,
        longer than a small model runs.
        """
        arrays = [inputs[place].numpy() for place in self._used]
        return arrays[0] if len(arrays) == 1 else arrays

    def _any_shapes(self) -> list[list[int]]:
        """Those of the inputs with −1 for each size that is free, the batch first."""
        return [[-1, *(-1 if size is None else size for size in features)] for features in self._form.features]

    def _compile(self, shapes: list[list[int]], **options: Any) -> openvino.CompiledModel:
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": self._threads,
            # Left alone, OpenVINO would compute float32 models in bfloat16 where the CPU can.
            "INFERENCE_PRECISION_HINT": _HALVES.get(self._variant.precision, "f32"),
        }
        try:
            model = _core().read_model(self._model.proto.SerializeToString())
            wanted = dict(zip(self._model.inputs, shapes, strict=True))
            model.reshape({port: wanted[port.get_any_name()] for port in model.inputs})
            return _core().compile_model(model, "CPU", settings | self._options | options)
        except RuntimeError as error:
            raise EngineError(f"OpenVINO can't run this model: {' '.join(str(error).split())[:200]}") from error

    def _kernels(self, operations: list[_Operation]) -> dict[str, Kernel]:
        """What runs each layer, read from the model as OpenVINO executes it."""
        variant = self._variant
        asked = quantized_layers(variant)
        computed = _computed(operations)
        kernels = {}
        for layer in weighted(variant.module):
            own = [o for o in operations if layer in o.layers and o.kind in COMPUTE]
            fused = [o for o in operations if layer in o.layers and o.kind == "Subgraph" and layer not in computed]
            name, dtype, why = "not found", "float32", "OpenVINO folded this layer into others or doesn't call it"
            if own:
                name, dtype = own[0].primitive, own[0].dtype
                why = f"OpenVINO runs it with {name}, which computes in {dtype}"
            elif fused:
                name = f"{fused[0].primitive} {FUSED}"
                why = "OpenVINO fused it with other layers and doesn't say what the fused kernel computes in"
            elif layer not in asked:
                continue
            kernels[layer] = judge(variant, layer, layer in asked, name, dtype, why)
        return kernels


def _shapes(inputs: Inputs) -> list[list[int]]:
    return [list(each.shape) for each in inputs]


@dataclass(frozen=True)
class _Operation:
    """One step of a compiled model: OpenVINO's kind and primitive, and the layers it came from."""

    kind: str
    primitive: str
    dtype: str
    layers: frozenset[str]


def _operations(compiled: openvino.CompiledModel, model: OnnxModel) -> list[_Operation]:
    operations = []
    for operation in compiled.get_runtime_model().get_ops():
        info = operation.get_rt_info()
        facts = {key: str(info[key].astype(str)) for key in _FACTS if key in info}
        names = [operation.get_friendly_name(), *facts.get("originalLayersNames", "").split(",")]
        layers = frozenset(layer for name in names if (layer := model.layer_of(name)))
        precision = facts.get("runtimePrecision", "")
        dtype = DTYPES.get(precision, precision)
        operations.append(_Operation(facts.get("layerType", ""), facts.get("primitiveType", ""), dtype, layers))
    return operations


def _computed(operations: list[_Operation]) -> frozenset[str]:
    """The layers that have a multiplication of their own."""
    return frozenset().union(*(operation.layers for operation in operations if operation.kind in COMPUTE))


_FACTS = ("layerType", "primitiveType", "runtimePrecision", "originalLayersNames")


@cache
def _core() -> openvino.Core:
    return openvino.Core()
