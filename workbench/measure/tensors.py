"""Every tensor that a variant keeps, once each, and the parameter of which layer it stands for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from workbench.engines import Kernel
from workbench.graph import dequantize_groups, layer_of, packed_bytes, unpacked_groups
from workbench.graph.layers import weighted
from workbench.graph.quantized import few_bits
from workbench.plumbing.lazy import lazy
from workbench.variant import Variant

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")

Kernels = Mapping[str, Kernel]

MODEL = "(model)"
"""The row of the parameters that the model itself holds, outside its layers."""

HALVES = ("bfloat16", "float16")
"""Floats of two bytes, that weights are cast to as they are run."""


@dataclass(frozen=True)
class Kept:
    """One tensor as it is kept: under which name, in which dtype, and the parameter it stands for, whole or in part."""

    name: str
    tensor: torch.Tensor
    dtype: str
    parameter: str
    """By its name in the variant's module. Scales and zero points count to the weight they belong to."""
    weight: Weight | None
    """None for scales and zero points."""
    packed_bytes: int | None = None
    """What it takes in a file, of a weight with several numbers to a byte there; None where that is what it takes here.
    """

    @property
    def layer(self) -> str:
        return layer_owning(self.parameter)

    @property
    def size_bytes(self) -> int:
        if self.packed_bytes is not None:
            return self.packed_bytes
        return self.tensor.numel() * (2 if self.dtype in HALVES else self.tensor.element_size())


@dataclass(frozen=True)
class Weight:
    """What a kept tensor holds: numbers of ``dtype`` ("int4" where each has four bits), and what they stand for."""

    dtype: str
    shape: tuple[int, ...]
    values: Callable[[], torch.Tensor]
    levels: Callable[[], torch.Tensor] | None = None
    """The whole numbers themselves; None of floats."""
    scales: Callable[[], torch.Tensor] | None = None
    """What the numbers are multiplied by, in any shape; None where nothing is."""


def layer_owning(parameter: str) -> str:
    """The layer that a parameter or buffer belongs to, by their qualified names."""
    return parameter.rpartition(".")[0] or MODEL


def own_tensors(module: torch.nn.Module) -> dict[str, dict[str, torch.Tensor]]:
    """Layer → its own parameters and stored buffers by their qualified names; in the model's order."""
    found: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in _stored(module).items():
        found.setdefault(layer_owning(name), {})[name] = tensor
    return found


def first_names(module: torch.nn.Module) -> dict[str, str]:
    """Name of each parameter and stored buffer → the first name of the same tensor: another where layers share it."""
    first: dict[tuple, str] = {}
    return {
        name: first.setdefault(_place(tensor), name) if tensor.numel() else name
        for name, tensor in _stored(module).items()
    }


def kept_tensors(variant: Variant, kernels: Kernels | None = None) -> list[Kept]:
    """What a file of the variant's weights holds: no constants that its forward makes, no buffers that aren't stored.

    Of a graph, only what nodes use: after quantization it still carries its float32 weights unused. Of a cast to
    other floats, what layers that run in these own is of them, by the runner's ``kernels``.
    """
    if variant.graph is not None:
        return _kept_by_graph(variant.graph, variant.module, few_bits(variant))
    floats = variant.formats.cast
    cast = _run_in(floats, variant.module, kernels) if floats else ()
    kept: list[Kept] = []
    seen = set()
    for name, tensor in _stored(variant.module).items():
        is_cast = layer_owning(name) in cast and tensor.is_floating_point()
        dtype = floats if is_cast else _dtype_of(tensor)
        if not tensor.numel() or (_place(tensor), dtype) not in seen:
            kept.append(Kept(name, tensor, dtype, name, _as_it_is(tensor, dtype)))
        seen.add((_place(tensor), dtype))
    return kept


def _run_in(floats: str, module: torch.nn.Module, kernels: Kernels | None) -> set[str]:
    """The layers of a variant cast to ``floats`` that do run in them, by the runner's kernels; those with weights where
    none are known. One that has no kernel of its own may be computed within another, as an attention's ``out_proj`` is.
    """
    if kernels is None:
        return set(weighted(module))
    found = {layer for layer, kernel in kernels.items() if kernel.dtype == floats}
    return found | {name for name in weighted(module) if name not in kernels and found.intersection(_around(name))}


def _around(layer: str) -> list[str]:
    """The modules that a layer lies in, by their qualified names."""
    parts = layer.split(".")
    return [".".join(parts[:depth]) for depth in range(1, len(parts))]


def _dtype_of(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _stored(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    stored = module.state_dict().items()  # a module's extra state may be anything
    return {name: tensor for name, tensor in stored if isinstance(tensor, torch.Tensor)}


def _place(tensor: torch.Tensor) -> tuple:
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride()


def _as_it_is(tensor: torch.Tensor, dtype: str) -> Weight:
    return Weight(dtype, tuple(tensor.shape), lambda: tensor)


def _kept_by_graph(graph: torch.fx.GraphModule, module: torch.nn.Module, few: Mapping[str, int]) -> list[Kept]:
    names = first_names(module)
    kept: dict[str, Kept] = {}
    seen = set()
    rounded: dict[torch.fx.Node, tuple[str, Weight]] = {}  # its scales and zero points ask again
    for node in graph.graph.nodes:
        if node.op != "get_attr" or not node.users or node.target in kept:
            continue
        tensor, packed = constant(graph, node), None
        if not isinstance(tensor, torch.Tensor) or (tensor.numel() and _place(tensor) in seen):
            continue
        dtype = _dtype_of(tensor)
        if named := _named_after(node.target, names):
            parameter, weight = named, _as_it_is(tensor, dtype)
        elif dequantize := next((user for user in node.users if _dequantizes_constants(user)), None):
            if dequantize not in rounded:
                quantized = _quantized_weight(graph, dequantize, few.get(dequantize.name))
                rounded[dequantize] = _rounded_parameter(quantized, module, _consumer(node, module)), quantized
            parameter, quantized = rounded[dequantize]
            weight = quantized if node is dequantize.args[0] else None
            if weight and dequantize.name in few:
                channels = weight.scales().numel()
                packed = packed_bytes(channels, tensor.numel(), few[dequantize.name])
        else:
            continue  # a constant that forward makes, a buffer that isn't stored
        seen.add(_place(tensor))
        kept[node.target] = Kept(node.target, tensor, dtype, parameter, weight, packed)
    return list(kept.values())


def _named_after(constant_name: str, names: Mapping[str, str]) -> str | None:
    """The parameter whose name a constant has: the parameter itself, its numbered copy ("conv.weight_2"), or the bias
    that a folded normalisation brings ("conv.weight_bias"), which is a parameter of its own; None for others.
    """
    copied = re.sub(r"_\d+$", "", constant_name)
    if constant_name in names or copied in names:
        return names.get(constant_name) or names[copied]
    return constant_name if re.sub(r"(_\d+)?_bias(_\d+)?$", "", constant_name) in names else None


def _dequantizes_constants(node: torch.fx.Node) -> bool:
    return "dequantize" in str(node.target) and all(source.op == "get_attr" for source in node.all_input_nodes)


def _quantized_weight(graph: torch.fx.GraphModule, dequantize: torch.fx.Node, few: int | None) -> Weight:
    """``few``: of how many bits it is, where these are fewer than the bytes it is kept in."""
    tensor = constant(graph, dequantize.args[0])
    dtype, shape = f"int{few}" if few else _dtype_of(tensor), tuple(tensor.shape)
    if dequantize.target is dequantize_groups:
        _, _, bits, _, inputs = dequantize.args
        dtype, shape = f"int{bits}", (len(tensor), inputs)
    levels = None if tensor.is_floating_point() else partial(_whole_numbers, graph, dequantize)
    return Weight(dtype, shape, partial(_folded, graph, dequantize), levels, partial(_factors, graph, dequantize))


def _whole_numbers(graph: torch.fx.GraphModule, dequantize: torch.fx.Node) -> torch.Tensor:
    stored = constant(graph, dequantize.args[0])
    if dequantize.target is not dequantize_groups:
        return stored
    _, _, bits, group_size, inputs = dequantize.args
    return unpacked_groups(stored, bits, group_size).flatten(1)[:, :inputs]


def _factors(graph: torch.fx.GraphModule, dequantize: torch.fx.Node) -> torch.Tensor:
    scale = dequantize.args[1]
    return constant(graph, scale) if isinstance(scale, torch.fx.Node) else torch.tensor([float(scale)])


def _folded(graph: torch.fx.GraphModule, node: torch.fx.Node) -> torch.Tensor:
    """What a node computes of constants alone."""
    arguments = torch.fx.map_arg(node.args, lambda source: constant(graph, source))
    return node.target(*arguments, **node.kwargs).detach()


def _consumer(weight: torch.fx.Node, module: torch.nn.Module) -> str:
    """The layer in whose forward a constant is used, the model's first of several; "" for the model's own."""
    reached, used_in = list(weight.users), set()
    for node in reached:
        if "nn_module_stack" in node.meta:
            used_in.add(layer_of(node) or "")
        else:  # what quantization brought in
            reached.extend(user for user in node.users if user not in reached)
    return next((name for name, _ in module.named_modules() if name in used_in), "")


def _rounded_parameter(weight: Weight, module: torch.nn.Module, layer: str) -> str:
    """The parameter that ``weight``, used in ``layer``, is a rounding of: the whole or one of its equal parts.

    The graph doesn't say: an attention uses its ``out_proj``'s weight without calling it. Where several have its shape,
    the nearest; where none has (it was transposed, say), the largest there.
    """
    parameters = dict(module.get_submodule(layer).named_parameters(prefix=layer, remove_duplicate=False))
    fitting = [name for name, parameter in parameters.items() if _fits(weight.shape, parameter.shape)]
    if len(fitting) > 1:
        values = weight.values()
        return min(fitting, key=lambda name: _distance(values, parameters[name].detach()))
    if fitting:
        return fitting[0]
    return max(parameters, key=lambda name: parameters[name].numel(), default=f"{layer}.weight".lstrip("."))


def _fits(part: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    return len(part) == len(whole) > 0 and part[1:] == tuple(whole[1:]) and part[0] > 0 and whole[0] % part[0] == 0


def _distance(values: torch.Tensor, parameter: torch.Tensor) -> float:
    parts = parameter.float().reshape(-1, *values.shape)
    return float((parts - values).flatten(1).norm(dim=1).min())


def constant(graph: torch.fx.GraphModule, node: torch.fx.Node) -> torch.Tensor:
    """The attribute that a ``get_attr`` node refers to."""
    found = graph
    for part in node.target.split("."):
        found = getattr(found, part)
    return found
