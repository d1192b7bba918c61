"""An ``.onnx`` file as an ``nn.Module`` whose layers and parameters keep their names."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from workbench.errors import WorkloadError
from workbench.machine.memory import COPIES_OF_MODEL, refuse_beyond_memory
from workbench.models.loaders._base import Loader
from workbench.plumbing.words import one_line

if TYPE_CHECKING:
    import onnx


class Onnx(Loader):
    """ONNX classifiers: one input [N, …], one output, both float."""

    suffix = ".onnx"

    def read(self, path: Path) -> torch.nn.Module:
        """Import an ONNX classifier: one input [N, …], one output, both float.

        Raises
        ------
        WorkloadError
            If it is no ONNX file, uses an operator that isn't imported (named), is too large for
            memory, doesn't have one input and one output, or works for one batch size only.
        """
        if importlib.util.find_spec("onnx") is None:
            raise WorkloadError(f"reading {path} needs the package onnx; pip install 'model-workbench[engines]'")
        from workbench.models.onnx_import.build import build

        model = _parsed(path)
        _require_one_of_each(model, path)
        module = build(model, str(path), for_workload=True).eval()
        (result,) = module.graph.output_node().args
        if result.op == "get_attr":
            raise WorkloadError(f"{path} gives the same output whatever its input; export the model again")
        _check_batch(module, model, path)
        return module


def _parsed(path: Path) -> onnx.ModelProto:
    import onnx
    from google.protobuf.message import DecodeError

    refuse_beyond_memory(f"the model {path}", COPIES_OF_MODEL * path.stat().st_size)
    broken = f"{path} is not an ONNX file"
    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, ValueError) as error:
        raise WorkloadError(f"{broken}: {one_line(error)}; export the model again") from None
    if not model.graph.node or not model.opset_import:
        raise WorkloadError(f"{broken}: it holds no graph; export the model again")
    refuse_beyond_memory(f"the model {path}", COPIES_OF_MODEL * _value_bytes(model))
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, OSError, ValueError) as error:
        raise WorkloadError(f"{path} is not a valid ONNX model: {one_line(error)}; export it again") from None
    return model


def _require_one_of_each(model: onnx.ModelProto, path: Path) -> None:
    """A workload's model takes one tensor of floating-point numbers and gives one tensor."""
    import onnx

    inputs, outputs = _inputs(model), model.graph.output
    if len(inputs) != 1 or len(outputs) != 1:
        raise WorkloadError(f"{path} has {len(inputs)} inputs and {len(outputs)} outputs; a classifier has one of each")
    kind = inputs[0].type.tensor_type.elem_type
    if kind != onnx.TensorProto.FLOAT:
        raise WorkloadError(
            f"{path} takes {onnx.TensorProto.DataType.Name(kind).lower()} values; a classifier here takes float ones: "
            "export it with a float input"
        )


def _value_bytes(model: onnx.ModelProto) -> int:
    """The size of all initializers, those stored in files of their own as well."""
    import onnx

    sizes = {
        kind: onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize for kind in onnx.TensorProto.DataType.values() if kind
    }
    total = 0
    for tensor in model.graph.initializer:
        count = 1
        for dimension in tensor.dims:
            count *= dimension
        total += count * sizes[tensor.data_type]
    return total


def _check_batch(module: torch.nn.Module, model: onnx.ModelProto, path: Path) -> None:
    """Where the file fixes the batch, see that other batches give each example the same output all the same."""
    (entry,) = _inputs(model)
    sizes = [dimension.dim_value for dimension in entry.type.tensor_type.shape.dim]
    if not sizes or not all(sizes):
        return
    sample = torch.rand(sizes[0] + 1, *sizes[1:], generator=torch.Generator().manual_seed(0))
    try:
        with torch.no_grad():
            together, alone = module(sample), module(sample[:1])
        # Sums over other batches may be ordered differently: some float32 roundings of 6e-8 each, amplified by depth.
        same = len(together) == len(sample) and torch.allclose(together[:1], alone, rtol=1e-3, atol=1e-4)
    except Exception:  # the graph may raise anything for sizes it wasn't made for
        same = False
    if not same:
        raise WorkloadError(
            f"{path} works for batches of {sizes[0]} alone; export it again with a free batch dimension "
            "(dynamic_shapes=({0: torch.export.Dim.DYNAMIC},) in torch.onnx.export)"
        )


def _inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    constants = {tensor.name for tensor in model.graph.initializer}
    return [entry for entry in model.graph.input if entry.name not in constants]
