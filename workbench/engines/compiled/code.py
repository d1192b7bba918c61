"""What a compiled package runs for each layer, read from the C++ code that Inductor generated into it."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.engines._base import Kernel
from workbench.engines._judge import judge, quantized_layers
from workbench.graph.layers import Kind, Layer, in_graph

if TYPE_CHECKING:
    import torch

    from workbench.variant import Variant

_CALL = re.compile(r"AOTI_TORCH_ERROR_CODE_CHECK\(aoti_torch_(?:cpu_)?_?(\w+)\(")
_CONVOLUTION = re.compile(r"^(mkldnn__)?q?conv(olution|2d|1d|3d)?(_|$)")
_LINEAR = re.compile(r"^(mkl_|mkldnn__)?q?linear|^(addmm|mm|bmm|baddbmm|_int_mm)(_out|_dtype|$)|^_?addmm")


def kernels(variant: Variant, program: torch.export.ExportedProgram, package: Path) -> dict[str, Kernel]:
    """The kernel of each convolution and linear layer.

    The code doesn't name layers. It calls their kernels in the program's order, so where there are as
    many calls of a kind as layers, they are matched one by one; otherwise the layers are given what is
    certain for all of them, and the reason says so.
    """
    calls = _calls(package)
    asked = quantized_layers(variant)
    found: dict[str, Kernel] = {}
    for kind in ("convolution", "linear"):
        layers = [layer for layer in in_graph(program.graph) if layer.kind == kind]
        matches = calls[kind] if len(calls[kind]) == len(layers) else [None] * len(layers)
        for layer, call in zip(layers, matches, strict=True):
            name = layer.name.removeprefix("model.") if variant.formats.cast else layer.name
            found[name] = _kernel(variant, layer, name, layer.quantized or name in asked, call, calls[kind])
    return found


def _kernel(variant: Variant, layer: Layer, name: str, quantized: bool, call: str | None, calls: list[str]) -> Kernel:
    if call is not None:
        dtype = "int8" if call.startswith(("qconv", "qlinear")) else _float(variant)
        return judge(variant, name, quantized, call, dtype, f"Inductor generated {call}, which takes floats")
    certain = calls and all(each.startswith(("qconv", "qlinear")) for each in calls)
    kind = f"{len(calls)} {layer.kind} kernels ({', '.join(sorted(set(calls)))})" if calls else "loops of its own"
    why = f"Inductor generated {kind} for more layers, so this one can't be told from the code"
    dtype = "int8" if certain and variant.formats_of(name).dtype == "int8" else _float(variant)
    if dtype == "int8":
        return Kernel(" or ".join(sorted(set(calls))), dtype, "simulated", why)
    return judge(variant, name, quantized, "generated C++", dtype, why)


def _float(variant: Variant) -> str:
    return variant.formats.cast or "float32"


def _calls(package: Path) -> dict[Kind, list[str]]:
    """The convolution and linear kernels the generated code calls, in order."""
    with zipfile.ZipFile(package) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".wrapper.cpp"))
        code = archive.read(name).decode()
    names = [match.removesuffix("_tensor") for match in _CALL.findall(code)]
    return {
        "convolution": [name for name in names if _CONVOLUTION.match(name)],
        "linear": [name for name in names if _LINEAR.match(name)],
    }
