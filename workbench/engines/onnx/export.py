"""A variant as an ONNX model whose node names tell the layer they came from ("features.0::conv2d")."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from workbench.engines._base import Export
from workbench.engines._inputs import InputForm
from workbench.engines._program import remembered
from workbench.errors import EngineError
from workbench.graph import export
from workbench.plumbing.lazy import lazy
from workbench.plumbing.quiet import quiet

if TYPE_CHECKING:
    import onnx
    import torch

    from workbench.variant import Variant
    from workbench.workload import Inputs
else:
    torch = lazy("torch")
    onnx = lazy("onnx")

ONNX = Export(
    "model.onnx",
    "onnxruntime",
    (
        'session = onnxruntime.InferenceSession("model.onnx")',
        "named = {each.name: given.numpy() for each, given in zip(session.get_inputs(), inputs)}",
        "outputs = torch.from_numpy(session.run(None, named)[0])",
    ),
)
SEPARATOR = "::"
MULTIPLY = {"Conv", "ConvTranspose", "ConvInteger", "Gemm", "MatMul", "MatMulInteger"}
_exporting = threading.Lock()


@dataclass(frozen=True)
class OnnxModel:
    """A model whose inputs are [batch, …] of any batch size, with one float32 output."""

    proto: onnx.ModelProto
    layers: frozenset[str]

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Their names, in the order in which the variant's module takes them."""
        return tuple(each.name for each in self.proto.graph.input)

    @property
    def output(self) -> str:
        return self.proto.graph.output[0].name

    def layer_of(self, name: str) -> str | None:
        """The layer a node of an engine's optimised model came from, by its name or its output's."""
        if name == self.output or name.startswith(f"{self.output}/"):
            name = next(node.name for node in self.proto.graph.node if self.output in node.output)
        layer, separator, _ = name.rpartition(" ")[2].partition(SEPARATOR)  # engines write "fused NAME"
        return layer if separator and layer in self.layers else None

    def layer_before(self, value: str) -> str | None:
        """The layer whose multiplication was the last one on the way to ``value``."""
        reached = {value}
        for node in reversed(self.proto.graph.node):
            if reached.isdisjoint(node.output):
                continue
            layer = self.layer_of(node.name)
            if node.op_type in MULTIPLY and layer is not None:
                return layer
            reached |= set(node.input)
        return None


def exported(variant: Variant, example: Inputs) -> OnnxModel:
    """Export ``variant`` (its QDQ graph, else its float32 module); kept while the model lives.

    Raises
    ------
    EngineError
        Naming the operation that ONNX or its exporter doesn't have.
    """
    key = ("onnx", InputForm.of(example))
    return remembered(variant, key, lambda: _export(variant, example))


def _export(variant: Variant, example: Inputs) -> OnnxModel:
    program = export(variant.graph if variant.graph is not None else variant.module, example)
    with _exporting, quiet("torch.onnx", "onnxscript", "onnx_ir"), _library_parsed_once(), torch.no_grad():
        try:
            proto = torch.onnx.export(
                program, dynamo=True, verbose=False, custom_translation_table=_dynamic_quantization()
            ).model_proto
        except Exception as error:  # the exporter wraps whatever went wrong in kinds of its own
            raise EngineError(f"the model can't be exported to ONNX: {_reason(error)}") from error
    if len(proto.graph.output) != 1:
        raise EngineError(f"the model returns {len(proto.graph.output)} tensors; the engines run models with one")
    del proto.graph.value_info[:]  # states types of the simulation (int64 zero points), not of what runs
    return OnnxModel(proto, frozenset(_name_nodes(proto, variant.module)))


def _dynamic_quantization() -> dict[Any, Any]:
    """How the operations of an int8-dynamic graph read in ONNX.

    ``DynamicQuantizeLinear`` chooses the scale as PT2E's ``choose_qparams`` does, from the minimum
    and maximum of this very input, but for the lower bound 2⁻¹² that the latter puts on it.
    """
    import torchao.quantization.pt2e  # noqa: F401  registers the operations
    from onnxscript import opset20 as op

    quantized = torch.ops.quantized_decomposed

    def choose(x, quant_min, quant_max, eps, dtype):
        _, scale, zero_point = op.DynamicQuantizeLinear(x)
        return scale, zero_point

    def quantize(x, scale, zero_point, quant_min, quant_max, dtype):
        return op.QuantizeLinear(x, scale, zero_point)

    def dequantize(x, scale, zero_point, quant_min, quant_max, dtype, out_dtype=None):
        return op.DequantizeLinear(x, scale, zero_point)

    return {
        quantized.choose_qparams.tensor: choose,
        quantized.quantize_per_tensor.tensor: quantize,
        quantized.dequantize_per_tensor.tensor: dequantize,
    }


def _name_nodes(proto: onnx.ModelProto, module: torch.nn.Module) -> Iterator[str]:
    """Rename every node to "layer::operation"; yields the layers' names."""
    known = {name for name, _ in module.named_modules()}
    for node in proto.graph.node:
        layer = _layer(node, known)
        node.name = f"{layer}{SEPARATOR}{node.output[0]}"
        if layer:
            yield layer


def _layer(node: onnx.NodeProto, known: set[str]) -> str:
    import ast

    for value in node.input[1:2]:  # a convolution fused with the normalisation after it: the weight tells
        owner, _, parameter = value.rpartition(".")
        if parameter == "weight" and owner in known:
            return owner
    scopes = next((entry.value for entry in node.metadata_props if entry.key == "pkg.torch.onnx.name_scopes"), "[]")
    return next((scope for scope in reversed(ast.literal_eval(scopes)[:-1]) if scope in known), "")


def _reason(error: BaseException) -> str:
    """The innermost cause, on one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())[:200] or type(error).__name__


@contextmanager
def _library_parsed_once() -> Iterator[None]:
    """Keep the exporter's library of operators: parsing it anew is half the time of each export.

    Reaches into the exporter; where a later version is built differently this does nothing.
    """
    from torch.onnx._internal.exporter import _registration

    registry_type = getattr(_registration, "ONNXRegistry", None)
    original = vars(registry_type or object).get("from_torchlib")
    if original is None or not hasattr(registry_type(), "functions"):
        yield
        return

    def from_torchlib(cls, *arguments, **options):
        key = (arguments, tuple(sorted(options.items())))
        if key not in _libraries:
            _libraries[key] = original.__func__(cls, *arguments, **options)
        fresh = cls()
        vars(fresh).update(vars(_libraries[key]))
        fresh.functions = {target: list(entries) for target, entries in _libraries[key].functions.items()}
        return fresh

    registry_type.from_torchlib = classmethod(from_torchlib)
    try:
        yield
    finally:
        registry_type.from_torchlib = original


_libraries: dict[tuple, Any] = {}
