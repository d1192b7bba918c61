"""ONNX Runtime on the CPU: int8 kernels for static and dynamic quantization, fast to prepare."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.engines._base import PT2, Engine, Kernel, LayerTimesUnavailable, Runner
from workbench.engines._inputs import InputForm
from workbench.engines._judge import judge, quantized_layers
from workbench.engines._program import remembered, save_program
from workbench.engines.onnx.export import ONNX, OnnxModel, exported
from workbench.engines.onnx.integer import with_integer_operations
from workbench.errors import EngineError
from workbench.machine.instructions import pairs_saturate
from workbench.plumbing.lazy import lazy
from workbench.precisions import find as find_precision
from workbench.workload import Data

if TYPE_CHECKING:
    import numpy as np
    import onnx
    import torch

    from workbench.variant import Variant
    from workbench.workload import Inputs
else:
    torch = lazy("torch")
    onnx = lazy("onnx")

INTEGER = {
    "QLinearConv", "QGemm", "QLinearMatMul", "ConvInteger", "MatMulInteger",
    "MatMulIntegerToFloat", "DynamicQuantizeMatMul",
}  # fmt: skip
COMPUTE = INTEGER | {
    "Conv", "FusedConv", "ConvTranspose", "Gemm", "FusedGemm", "MatMul", "FusedMatMul", "LSTM", "GRU", "RNN",
}  # fmt: skip


class OnnxRuntime(Engine):
    """Runs the exported ONNX model with all of ONNX Runtime's graph optimisations."""

    name = "onnxruntime"
    title = "ONNX Runtime"
    precisions = ("fp32", "int8-static", "int8-dynamic")
    libraries = ("torch", "torchao", "onnx", "onnxscript", "onnxruntime")
    takes_any_size = True
    rank = 30
    preference = 20
    exports = (PT2, ONNX)

    def unavailable(self) -> str | None:
        missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
        return f"{missing[0]} is not installed; pip install {' '.join(missing)}" if missing else None

    def lacks(self, precision: str) -> str:
        if find_precision(precision).cast:
            return f"ONNX Runtime has no kernels in {precision} for the CPU; choose eager, compiled or openvino"
        return super().lacks(precision)

    def saturates(self) -> bool:
        return pairs_saturate(onednn=False)

    def runner(
        self, variant: Variant, example: Inputs, device: str, threads: int, checkpoint: Callable[[], None]
    ) -> Runner:
        model = exported(variant, example)
        checkpoint()
        if variant.graph is not None:
            form = InputForm.of(example)
            proto = remembered(variant, ("onnx-integer", form), lambda: with_integer_operations(model.proto))
            model = OnnxModel(proto, model.layers)
        return OnnxRuntimeRunner(variant, example, model, threads)


class OnnxRuntimeRunner(Runner):
    """One session for every batch size. Tensors go in and out as NumPy views, without copies."""

    def __init__(self, variant: Variant, example: Inputs, model: OnnxModel, threads: int) -> None:
        self._variant, self._example, self._model, self._threads = variant, example, model, threads
        self._form = InputForm.of(example)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "optimised.onnx"
            self._session = _session(model, threads, optimized_model_filepath=str(path))
            self.kernels = self._kernels(onnx.load(path, load_external_data=False))

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self._session.run(None, self._feeds(inputs))[0])

    def layer_times_ms(self, inputs: Inputs | torch.Tensor, repeats: int = 20) -> dict[str, float]:
        """Medians from the profile of a second session; what isn't part of a layer is left out."""
        feeds = self._feeds(Data(inputs).inputs)
        with tempfile.TemporaryDirectory() as directory:
            session = _session(
                self._model, self._threads, enable_profiling=True, profile_file_prefix=str(Path(directory) / "profile")
            )
            for _ in range(repeats + 1):
                session.run(None, feeds)
            events = json.loads(Path(session.end_profiling()).read_text())
        samples, kinds = defaultdict(list), {}
        for event in events:
            name, _, what = event["name"].rpartition("_kernel_time")
            if event.get("cat") == "Node" and name and not what:
                samples[name].append(event["dur"] / 1e3)
                kinds[name] = event["args"]["op_name"]
        times = defaultdict(float)
        for name, durations in samples.items():
            if layer := self._layer_of(name, kinds[name]):
                times[layer] += statistics.median(durations[1:])
        if not times:
            raise LayerTimesUnavailable("ONNX Runtime's profile names no layer of this model")
        return dict(times)

    def save(self, directory: str | Path) -> list[Path]:
        path = Path(directory) / ONNX.name
        onnx.save(self._model.proto, path)
        return [save_program(self._variant, self._example, directory), path]

    def close(self) -> None:
        self._session = None

    def _feeds(self, inputs: Inputs) -> dict[str, np.ndarray]:
        """Arrays by the names of the model's inputs."""
        fitting = self._form.fit(inputs)
        return {name: each.numpy() for name, each in zip(self._model.inputs, fitting, strict=True)}

    def _layer_of(self, node: str, operation: str) -> str | None:
        """The layer of a node of the optimised graph. Blocked layouts (NCHWc) name it after its result."""
        layer = self._model.layer_of(node)
        if layer is None and operation in COMPUTE and node.endswith("_nchwc"):
            layer = self._model.layer_before(node.removesuffix("_nchwc"))
        return layer

    def _kernels(self, optimised: onnx.ModelProto) -> dict[str, Kernel]:
        """What the session runs for each layer, read from the graph it optimised."""
        asked = quantized_layers(self._variant)
        kernels = {}
        for node in optimised.graph.node:
            layer = self._layer_of(node.name, node.op_type)
            if layer is None or node.op_type not in COMPUTE:
                continue
            dtype = "int8" if node.op_type in INTEGER else "float32"
            why = f"ONNX Runtime has no fast int8 kernel here: it runs {node.op_type} in float32 on dequantized values"
            kernels[layer] = judge(self._variant, layer, layer in asked, node.op_type, dtype, why)
        for layer in asked - kernels.keys():
            why = "ONNX Runtime folded this layer into others or doesn't call it"
            kernels[layer] = judge(self._variant, layer, True, "not found", "float32", why)
        return kernels


def _session(model: OnnxModel, threads: int, **options: Any):
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.intra_op_num_threads = threads
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # Threads that spin between calls would slow down the runner measured next to this one.
    settings.add_session_config_entry("session.force_spinning_stop", "1")
    for name, value in options.items():
        setattr(settings, name, value)
    try:
        return onnxruntime.InferenceSession(
            model.proto.SerializeToString(), settings, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # pybind wraps each status code in a kind of its own
        raise EngineError(f"ONNX Runtime can't run this model: {' '.join(str(error).split())[:200]}") from error
