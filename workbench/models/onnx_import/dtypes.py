"""Which element types of ONNX torch computes with, and arrays of these as tensors."""

from __future__ import annotations

import numpy as np
import onnx
import torch


class Unsupported(Exception):
    """An operator, or a use of one, that isn't imported."""


DTYPES = {
    onnx.TensorProto.FLOAT: torch.float32,
    onnx.TensorProto.DOUBLE: torch.float64,
    onnx.TensorProto.FLOAT16: torch.float16,
    onnx.TensorProto.BFLOAT16: torch.bfloat16,
    onnx.TensorProto.BOOL: torch.bool,
    onnx.TensorProto.INT8: torch.int8,
    onnx.TensorProto.INT16: torch.int16,
    onnx.TensorProto.INT32: torch.int32,
    onnx.TensorProto.INT64: torch.int64,
    onnx.TensorProto.UINT8: torch.uint8,
    onnx.TensorProto.UINT16: torch.uint16,
    onnx.TensorProto.UINT32: torch.uint32,
    onnx.TensorProto.UINT64: torch.uint64,
}
WIDE_UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)
"""Torch stores these and hardly computes with them."""


def torch_dtype(kind: int | str) -> torch.dtype:
    """The torch type of a ``TensorProto.DataType``; ``Unsupported`` names one that isn't imported."""
    if isinstance(kind, str):  # before opset 6
        kind = onnx.TensorProto.DataType.Value(kind)
    if kind not in DTYPES:
        raise Unsupported(f"on {onnx.TensorProto.DataType.Name(kind).lower()} values")
    return DTYPES[kind]


def dtype_of(array: np.ndarray) -> torch.dtype | None:
    """The torch type of an array's elements; None where it isn't imported."""
    dtype = getattr(torch, array.dtype.name, None)
    return dtype if dtype in DTYPES.values() else None


def tensor_of(array: np.ndarray) -> torch.Tensor:
    """A copy of ``array`` as a tensor of the same type; ``Unsupported`` where torch has no such type."""
    if array.dtype.name == "bfloat16":  # numpy's own types have none, so torch doesn't read it
        return torch.from_numpy(np.array(array, order="C").view(np.int16)).view(torch.bfloat16)
    if dtype_of(array) is None:
        raise Unsupported(f"on {array.dtype.name.replace('object', 'string')} values")
    return torch.from_numpy(np.array(array, order="C"))
