"""What people use instead of the native engine, each set up as its own documentation advises.

- eager: inference mode, images channels last; bf16: weights and inputs converted.
- inductor: ahead of time with frozen weights (AOTInductor), which has the least overhead of its ways; int8: PT2E with
  torchao's x86 quantizer, lowered to oneDNN's int8 kernels. The workbench's own "compiled" engine does just that.
- onnxruntime: all graph optimisations, the batch fixed, its threads left to spin as they do by default. "int8": its own
  static quantization (pre-processing, QDQ, u8 activations, s8 weights by channel); "int8 pt2e": the workbench's graph.
- openvino: latency hint, the inference precision asked for, inputs and outputs shared; int8 from the PT2E graph as
  QDQ ONNX.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch

from workbench import engines
from workbench.engines import Runner
from workbench.engines.onnx.export import exported
from workbench.engines.onnx.integer import with_integer_operations
from workbench.variant import Variant

Call = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Case:
    """A model as each engine needs it. ``example`` is one batch, ``calibration`` what ranges are found with."""

    float32: Variant
    int8: Variant
    example: torch.Tensor
    calibration: torch.Tensor
    threads: int

    def variant(self, precision: str) -> Variant:
        """``precision``: "fp32", "bf16" or "int8"."""
        return {"fp32": self.float32, "bf16": self.float32.having(precision="bf16"), "int8": self.int8}[precision]


def engine(case: Case, name: str, precision: str) -> Runner:
    """One of the workbench's own engines."""
    return engines.find(name).prepare(case.variant(precision), case.example, threads=case.threads)


def eager(case: Case, dtype: torch.dtype) -> Call:
    images = case.example.dim() == 4
    layout = torch.channels_last if images else torch.contiguous_format
    module = copy.deepcopy(case.float32.module).to(dtype)
    module = module.to(memory_format=layout) if images else module

    def call(inputs: torch.Tensor) -> torch.Tensor:
        return module(inputs.to(dtype, memory_format=layout)).float()

    return call


def onnxruntime(case: Case, proto: onnx.ModelProto) -> Call:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.intra_op_num_threads = case.threads
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    batch = proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    if batch:
        settings.add_free_dimension_override_by_name(batch, len(case.example))
    session = onnxruntime.InferenceSession(proto.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    name = proto.graph.input[0].name
    return lambda inputs: torch.from_numpy(session.run(None, {name: inputs.numpy()})[0])


def quantized_by_onnxruntime(case: Case) -> onnx.ModelProto:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    model = exported(case.float32, (case.example,)).proto

    class Examples(CalibrationDataReader):
        def __init__(self) -> None:
            self.batches = iter(case.calibration.split(32))

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self.batches, None)
            return None if batch is None else {model.graph.input[0].name: batch.numpy()}

    logging.getLogger("root").setLevel(logging.ERROR)  # it recommends the pre-processing that was just done
    with tempfile.TemporaryDirectory() as directory:
        prepared, quantized = Path(directory) / "prepared.onnx", Path(directory) / "quantized.onnx"
        with contextlib.chdir(directory):  # where it fails it leaves files behind
            quant_pre_process(model, str(prepared))
        quantize_static(
            str(prepared), str(quantized), Examples(), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
        return onnx.load(quantized)


def openvino(case: Case, precision: str) -> Call:
    import openvino

    proto = exported(case.variant("int8" if precision == "int8" else "fp32"), (case.example,)).proto
    core = openvino.Core()
    model = core.read_model(proto.SerializeToString())
    model.reshape(list(case.example.shape))
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": case.threads,
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    # An array, not a list of one: for a list OpenVINO looks up the model's inputs at each call.
    return lambda inputs: torch.from_numpy(request.infer(inputs.numpy(), share_inputs=True, share_outputs=True)[0])


PEERS: dict[tuple[str, str], Callable[[Case], Call]] = {
    ("eager", "fp32"): lambda case: eager(case, torch.float32),
    ("eager", "bf16"): lambda case: eager(case, torch.bfloat16),
    ("inductor", "fp32"): lambda case: engine(case, "compiled", "fp32"),
    ("inductor", "bf16"): lambda case: engine(case, "compiled", "bf16"),
    ("inductor", "int8"): lambda case: engine(case, "compiled", "int8"),
    ("onnxruntime", "fp32"): lambda case: onnxruntime(case, exported(case.float32, (case.example,)).proto),
    ("onnxruntime", "int8"): lambda case: onnxruntime(case, quantized_by_onnxruntime(case)),
    ("onnxruntime", "int8 pt2e"): lambda case: onnxruntime(
        case, with_integer_operations(exported(case.int8, (case.example,)).proto)
    ),
    ("openvino", "fp32"): lambda case: openvino(case, "fp32"),
    ("openvino", "bf16"): lambda case: openvino(case, "bf16"),
    ("openvino", "int8"): lambda case: openvino(case, "int8"),
}
"""How to make each, by engine and precision."""
