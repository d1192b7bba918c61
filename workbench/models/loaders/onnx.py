"""An ``.onnx`` file as an ``nn.Module`` whose layers and parameters keep their names."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from workbench.errors import WorkloadError
from workbench.machine.memory import COPIES_OF_MODEL, refuse_beyond_memory
from workbench.models.loaders._base import FileLoader
from workbench.plumbing.words import one_line

if TYPE_CHECKING:
    import onnx


class Onnx(FileLoader):
    """ONNX graphs of any inputs and outputs [N, …]."""

    title = "an .onnx file"
    suffix = ".onnx"
    libraries = ("onnx",)

    def read(self, path: Path) -> torch.nn.Module:
        """Import an ONNX graph: its module takes the inputs in their order and gives the output, or a tuple of several.

        Raises
        ------
        WorkloadError
            If it is no ONNX file, uses an operator that isn't imported (named), is too large for memory, has no inputs,
            or works for one batch size only.
        """
        if importlib.util.find_spec("onnx") is None:
            raise WorkloadError(f"reading {path} needs the package onnx; pip install 'model-workbench[engines]'")
        from workbench.models.onnx_import.build import build

        model = _parsed(path)
        if not _inputs(model):
            raise WorkloadError(f"{path} takes no inputs; export a model that takes some [N, …]")
        module = build(model, str(path), for_workload=True).eval()
        (results,) = module.graph.output_node().args
        if all(each.op == "get_attr" for each in (results if isinstance(results, tuple) else (results,))):
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
    shapes = [[dim.dim_value for dim in entry.type.tensor_type.shape.dim] for entry in _inputs(model)]
    if not all(sizes and all(sizes) for sizes in shapes):
        return
    count = shapes[0][0]
    samples = [_sample(entry, count + 1) for entry in _inputs(model)]
    try:
        with torch.no_grad():
            together = _first(module(*samples))
            alone = _first(module(*(each[:1] for each in samples)))
        # Sums over other batches may be ordered differently: some float32 roundings of 6e-8 each, amplified by depth.
        same = len(together) == count + 1 and torch.allclose(together[:1], alone, rtol=1e-3, atol=1e-4)
    except Exception:  # the graph may raise anything for sizes it wasn't made for
        same = False
    if not same:
        raise WorkloadError(
            f"{path} works for batches of {count} alone; export it again with a free batch dimension "
            "(dynamic_shapes=({0: torch.export.Dim.DYNAMIC},) in torch.onnx.export)"
        )


def _sample(entry: onnx.ValueInfoProto, count: int) -> torch.Tensor:
    """``count`` examples of an input: floats between 0 and 1, whole numbers 0 or 1."""
    from workbench.models.onnx_import.dtypes import DTYPES

    kind = entry.type.tensor_type
    values = torch.rand(
        count, *(dim.dim_value for dim in kind.shape.dim[1:]), generator=torch.Generator().manual_seed(0)
    )
    dtype = DTYPES[kind.elem_type]
    return values.to(dtype) if dtype.is_floating_point else values.round().to(dtype)


def _first(outputs: Any) -> torch.Tensor:
    return outputs[0] if isinstance(outputs, tuple) else outputs


def _inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    constants = {tensor.name for tensor in model.graph.initializer}
    return [entry for entry in model.graph.input if entry.name not in constants]
