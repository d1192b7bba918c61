"""A fused graph in a safetensors file: its weights in the bits that kernels read them in, all else as JSON beside them.

https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import EngineError
from workbench.graph import packed_groups, unpacked_groups
from workbench.graph.fused import ir, ops
from workbench.graph.fused.ir import Graph, Value
from workbench.graph.fused.ops import Conv, WeightOnly
from workbench.kernels.records import Window
from workbench.plumbing.lazy import lazy
from workbench.plumbing.words import one_line

if TYPE_CHECKING:
    import numpy as np
    import torch
else:
    np = lazy("numpy")
    torch = lazy("torch")

FORMAT = 3
"""Counts on where files of before would be read wrongly: operations mean something else, or have other fields."""
_HEAD = "workbench_program"
_KINDS = {name: kind for room in (ir, ops) for name, kind in vars(room).items() if is_dataclass(kind)}
_KINDS["Window"] = Window


def store(graph: Graph, path: Path, facts: Mapping[str, Any]) -> None:
    """Write ``graph``, and beside it ``facts`` that JSON can hold."""
    from safetensors.torch import save_file

    writer = _Writer()
    document = {_HEAD: FORMAT, "facts": facts, "graph": writer.written(graph, "")}
    save_file(writer.tensors, path, metadata={_HEAD: json.dumps(document)})


def restore(path: Path | str) -> tuple[Graph, dict[str, Any]]:
    """What :func:`store` wrote; :class:`EngineError` where the file holds nothing of the kind, or can't be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            document = json.loads((file.metadata() or {})[_HEAD])
            if document[_HEAD] != FORMAT:
                raise EngineError(f"{path} was saved by another version of the workbench; save the model again")
            reader = _Reader({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118, it is no dictionary
            return reader.read(document["graph"]), document["facts"]
    except OSError as error:
        raise EngineError(f"{path} can't be read: {one_line(error)}; give the path of a native.safetensors") from None
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise EngineError(
            f"{path} holds no program ({type(error).__name__}); give a native.safetensors, as saving a model writes it"
        ) from None


class _Writer:
    """Turns dataclasses into JSON. Their arrays go to ``tensors``; a value, and an array that several operations
    share, is written where it first appears."""

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        self._arrays: dict[tuple, dict[str, Any]] = {}
        self._numbers: dict[Value, int] = {}

    def written(self, thing: Any, name: str) -> Any:
        """``thing`` as JSON; ``name`` says where in the graph it stands."""
        if isinstance(thing, list):
            return [self.written(each, f"{name}.{at}") for at, each in enumerate(thing)]
        if isinstance(thing, tuple):
            return {"tuple": [self.written(each, f"{name}.{at}") for at, each in enumerate(thing)]}
        if isinstance(thing, Value) and thing in self._numbers:
            return {"value": self._numbers[thing]}
        if is_dataclass(thing):
            if isinstance(thing, Value):
                self._numbers[thing] = len(self._numbers)
            return {"is": type(thing).__name__} | {
                field.name: self._field(thing, field.name, f"{name}.{field.name}".lstrip("."))
                for field in fields(thing)
            }
        return thing.item() if isinstance(thing, np.generic) else thing

    def _field(self, owner: Any, field: str, name: str) -> Any:
        held = getattr(owner, field)
        if not isinstance(held, np.ndarray):
            return self.written(held, name)
        is_weight = field == "weight"
        bits = owner.bits if is_weight and isinstance(owner, WeightOnly) and owner.bits < 8 else 0
        halves = is_weight and isinstance(owner, Conv) and owner.inputs[0].half
        form = None if held.flags.c_contiguous and not bits else (held.shape, held.strides)
        same = held.ctypes.data, held.nbytes, held.dtype, bits, halves, form
        if same not in self._arrays:
            self._arrays[same] = self._array(held, name, bits=bits, halves=halves)
        return self._arrays[same] | ({"shape": held.shape} if form is None else {})

    def _array(self, held: np.ndarray, name: str, *, bits: int, halves: bool) -> dict[str, Any]:
        tensor = torch.from_numpy(held.copy())  # another view of the same memory may be stored as well
        if bits:
            self.tensors[name] = packed_groups(tensor.unsqueeze(1), bits)
            return {"packed": name, "bits": bits, "columns": tensor.shape[1]}
        self.tensors[name] = tensor.bfloat16() if halves else tensor
        return {"array": name}


class _Reader:
    """Turns what :class:`_Writer` wrote back."""

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self._tensors = tensors
        self._values: list[Value] = []

    def read(self, written: Any) -> Any:
        if isinstance(written, list):
            return [self.read(each) for each in written]
        if not isinstance(written, dict):
            return written
        if "is" in written:
            return self._made(_KINDS[written["is"]], {name: each for name, each in written.items() if name != "is"})
        if "tuple" in written:
            return tuple(map(self.read, written["tuple"]))
        if "value" in written:
            return self._values[written["value"]]
        if "packed" in written:
            packed = self._tensors[written["packed"]]
            return unpacked_groups(packed, written["bits"], written["columns"]).squeeze(1).numpy()
        tensor = self._tensors[written["array"]]
        tensor = tensor.reshape(written.get("shape", tensor.shape))
        return (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).numpy()

    def _made(self, kind: type, written: Mapping[str, Any]) -> Any:
        made = kind(**{name: self.read(each) for name, each in written.items()})
        if isinstance(made, Value):
            self._values.append(made)
        return made
