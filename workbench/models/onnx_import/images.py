"""Resizing and sampling of images."""

from __future__ import annotations

import math

import torch
from torch import fx
from torch.nn import functional

from workbench.models.onnx_import.scope import Scope, Unsupported, operator


@operator("GridSample")
def _grid_sample(scope: Scope) -> fx.Node:
    modes = {
        "linear": "bilinear",
        "cubic": "bicubic",
        "bilinear": "bilinear",
        "bicubic": "bicubic",
        "nearest": "nearest",
    }
    mode, rank = modes[scope.attribute("mode", "linear")], scope.rank(0)
    if rank not in (4, 5) or (rank == 5 and mode == "bicubic"):
        raise Unsupported("on other than images, or cubic on volumes")
    return scope.call(
        functional.grid_sample,
        scope.tensor(0),
        scope.tensor(1),
        mode=mode,
        padding_mode=scope.attribute("padding_mode", "zeros"),
        align_corners=bool(scope.attribute("align_corners", 0)),
    )


@operator("AffineGrid")
def _affine_grid(scope: Scope) -> fx.Node:
    corners = bool(scope.attribute("align_corners", 0))
    return scope.call(functional.affine_grid, scope.tensor(0), scope.numbers(1), align_corners=corners)


@operator("Resize", "Upsample")
def _resize(scope: Scope) -> fx.Node:
    old = scope.node.op_type == "Upsample" or scope.build.opset < 11
    if old:
        scales = scope.numbers(1, "scales")
        options = {"coordinates": "asymmetric", "nearest": "floor"}
        return scope.call(_resized, scope.tensor(0), scales, None, None, scope.attribute("mode", "nearest"), **options)
    options = {
        "coordinates": scope.attribute("coordinate_transformation_mode", "half_pixel"),
        "nearest": scope.attribute("nearest_mode", "round_prefer_floor"),
        "cubic": scope.attribute("cubic_coeff_a", -0.75),
        "exclude_outside": bool(scope.attribute("exclude_outside", 0)),
        "antialias": bool(scope.attribute("antialias", 0)),
        "outside": scope.attribute("extrapolation_value", 0.0),
        "policy": scope.attribute("keep_aspect_ratio_policy", "stretch"),
        "axes": scope.attribute("axes"),
    }
    mode = scope.attribute("mode", "nearest")
    known = (
        "half_pixel",
        "asymmetric",
        "align_corners",
        "pytorch_half_pixel",
        "half_pixel_symmetric",
        "tf_crop_and_resize",
    )
    if options["coordinates"] not in known:
        raise Unsupported(f"with coordinate_transformation_mode={options['coordinates']!r}")
    return scope.call(_resized, scope.tensor(0), scope.numbers(2), scope.numbers(3), scope.numbers(1), mode, **options)


def _resized(
    data, scales, sizes, region, mode, *, coordinates, nearest, cubic=-0.75, exclude_outside=False, antialias=False,
    outside=0.0, policy="stretch", axes=None,
):  # fmt: skip
    """Along one axis after the other, each a product with a matrix of weights [new size, old size]."""
    axes = list(range(data.ndim)) if axes is None else [axis % data.ndim for axis in axes]
    ratios = [None] * len(axes)
    if sizes and policy != "stretch":
        ratios = [size / data.shape[axis] for size, axis in zip(sizes, axes, strict=True)]
        ratios = [(min if policy == "not_larger" else max)(ratios)] * len(axes)
        sizes = [math.floor(ratios[0] * data.shape[axis] + 0.5) for axis in axes]
    elif not sizes:
        ratios = scales
        sizes = [
            data.shape[axis] if scale == 1 else math.floor(data.shape[axis] * scale)
            for axis, scale in zip(axes, scales, strict=True)
        ]
    crops = coordinates == "tf_crop_and_resize"
    ends = [(region[index], region[index + len(axes)]) if crops else (0.0, 1.0) for index in range(len(axes))]
    changes = [  # those left out stay symbolic where the batch is free
        (axis, new, new / data.shape[axis] if ratio is None else ratio, end)
        for axis, new, ratio, end in zip(axes, sizes, ratios, ends, strict=True)
        if ratio not in (None, 1) or new != data.shape[axis] or end != (0.0, 1.0)
    ]
    plain = not (exclude_outside or antialias or crops) and cubic == -0.75
    if plain and _torch_resizes(data, changes, mode, coordinates, nearest):
        spatial = {axis: new for axis, new, _, _ in changes}
        size = [spatial.get(axis, data.shape[axis]) for axis in range(2, data.ndim)]
        corners = {} if mode == "nearest" else {"align_corners": coordinates == "align_corners"}
        return functional.interpolate(data, size, mode=_TORCH_MODES[mode, data.ndim], **corners)
    floating, result = data.is_floating_point(), data.double()
    beyond = torch.zeros((), dtype=torch.bool)
    for axis, new, scale, end in changes:
        size = data.shape[axis]
        places = _places(coordinates, size, new, scale, *end)
        shrunk = min(scale, 1.0) if antialias else 1.0
        weights = _weights(mode, nearest, places, size, shrunk, cubic, exclude_outside)
        result = torch.tensordot(weights, result, ([1], [axis])).movedim(0, axis)
        if crops:
            out = (places < 0) | (places > size - 1)
            beyond = beyond | out.reshape(-1, *[1] * (data.ndim - 1 - axis))
    result = torch.where(beyond, outside, result)
    return result.to(data.dtype) if floating else result.round().to(data.dtype)


_TORCH_MODES = {
    ("nearest", 3): "nearest", ("nearest", 4): "nearest", ("nearest", 5): "nearest", ("linear", 3): "linear",
    ("linear", 4): "bilinear", ("linear", 5): "trilinear", ("cubic", 4): "bicubic",
}  # fmt: skip


def _torch_resizes(data, changes, mode, coordinates, nearest):
    """Whether torch's own function, which computes the scales from the sizes, does the same."""
    if (mode, data.ndim) not in _TORCH_MODES or not data.is_floating_point() or any(each[0] < 2 for each in changes):
        return False
    if any(data.shape[axis] * scale != new for axis, new, scale, _ in changes):
        return False
    if mode == "nearest":  # of other scales than these the rounding may differ
        exact = all(scale in (2, 4, 8, 16) for _, _, scale, _ in changes)
        return exact and coordinates == "asymmetric" and nearest == "floor"
    if coordinates == "pytorch_half_pixel":
        return all(new > 1 for _, new, _, _ in changes)
    return coordinates in ("half_pixel", "align_corners") and all(new > 1 for _, new, _, _ in changes)


def _places(coordinates, size, new, scale, start, end):
    """Where each new element lies among the old ones."""
    ticks = torch.arange(new, dtype=torch.float64)
    if coordinates == "asymmetric":
        return ticks / scale
    if coordinates == "align_corners":
        return ticks * (size - 1) / max(scale * size - 1, 1) if scale * size != 1 else ticks * 0
    if coordinates == "tf_crop_and_resize":
        if new > 1:
            return start * (size - 1) + ticks * (end - start) * (size - 1) / (scale * size - 1)
        return ticks + 0.5 * (start + end) * (size - 1)
    if coordinates == "pytorch_half_pixel" and scale * size <= 1:
        return ticks * 0 - 0.5
    places = (ticks + 0.5) / scale - 0.5
    if coordinates == "half_pixel_symmetric":
        adjustment = new / (scale * size)
        return size / 2 * (1 - adjustment) + places
    return places


def _weights(mode, nearest, places, size, shrunk, cubic, exclude_outside):
    if mode == "nearest":
        floors = {
            "round_prefer_floor": torch.ceil(places - 0.5),
            "round_prefer_ceil": torch.floor(places + 0.5),
            "floor": torch.floor(places),
            "ceil": torch.ceil(places),
        }
        chosen = floors[nearest].long().clamp(0, size - 1)
        return functional.one_hot(chosen, size).double()
    reach = math.ceil((2 if mode == "cubic" else 1) / shrunk) + 1
    steps = torch.floor(places).long().unsqueeze(1) + torch.arange(-reach, reach + 1)
    distances = (places.unsqueeze(1) - steps).abs() * shrunk
    kernel = _cubic(distances, cubic) if mode == "cubic" else (1 - distances).clamp(min=0)
    if exclude_outside:
        kernel = kernel * ((steps >= 0) & (steps < size))
    if exclude_outside or shrunk != 1:
        kernel = kernel / kernel.sum(1, keepdim=True)
    weights = torch.zeros(len(places), size, dtype=torch.float64)
    return weights.scatter_add_(1, steps.clamp(0, size - 1), kernel)


def _cubic(distance, factor):
    """Keys' kernel, https://en.wikipedia.org/wiki/Bicubic_interpolation."""
    near = ((factor + 2) * distance - (factor + 3)) * distance**2 + 1
    far = ((factor * distance - 5 * factor) * distance + 8 * factor) * distance - 4 * factor
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, torch.zeros_like(far)))
