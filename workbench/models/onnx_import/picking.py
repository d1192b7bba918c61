"""Operators that pick elements by their places, or put them there."""

from __future__ import annotations

import torch
from torch import fx

from workbench.models.onnx_import.scope import Scope, operator


@operator("Gather", wide=True)
def _gather(scope: Scope) -> fx.Node:
    axis, indices = scope.attribute("axis", 0), scope.constant(1)
    if indices is not None and indices.ndim == 0:
        return scope.call(torch.select, scope.tensor(0), axis, indices.item())
    return scope.call(_gather_at, scope.tensor(0), scope.tensor(1), axis)


def _gather_at(data, indices, axis):
    axis %= data.ndim
    flat = indices.reshape(-1).long()
    picked = data.index_select(axis, torch.where(flat < 0, flat + data.shape[axis], flat))
    return picked.reshape(*data.shape[:axis], *indices.shape, *data.shape[axis + 1 :])


@operator("GatherElements")
def _gather_elements(scope: Scope) -> fx.Node:
    return scope.call(_gather_elements_at, scope.tensor(0), scope.tensor(1), scope.attribute("axis", 0))


def _gather_elements_at(data, indices, axis):
    places = _from_the_front(indices, data.shape[axis])
    for other in range(data.ndim):  # torch lets the others be shorter, as ONNX does
        if other != axis % data.ndim and indices.shape[other] > data.shape[other]:
            raise IndexError(f"indices of shape {list(indices.shape)} for data of shape {list(data.shape)}")
    return data.gather(axis, places)


def _from_the_front(indices, size):
    """Indices as whole numbers of 64 bits, negative ones counted from the end."""
    indices = indices.long()
    return torch.where(indices < 0, indices + size, indices)


@operator("GatherND")
def _gather_nd(scope: Scope) -> fx.Node:
    return scope.call(_gather_nd_at, scope.tensor(0), scope.tensor(1), scope.attribute("batch_dims", 0))


def _gather_nd_at(data, indices, batch_dims):
    batch = data.shape[:batch_dims]
    flat, places = data.reshape(-1, *data.shape[batch_dims:]), indices.reshape(-1, *indices.shape[batch_dims:])
    depth = indices.shape[-1]
    parts = [_from_the_front(places[..., level], flat.shape[level + 1]) for level in range(depth)]
    first = torch.arange(flat.shape[0]).reshape(-1, *[1] * (places.ndim - 2))
    picked = flat[(first.expand(places.shape[:-1]), *parts)]
    return picked.reshape(*batch, *picked.shape[1:])


_REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


@operator("ScatterElements", "Scatter")
def _scatter_elements(scope: Scope) -> fx.Node:
    reduction = scope.attribute("reduction", "none")
    return scope.call(_scatter_elements_at, *scope.tensors(), scope.attribute("axis", 0), reduction)


def _scatter_elements_at(data, indices, updates, axis, reduction):
    places = _from_the_front(indices, data.shape[axis])
    if reduction == "none":
        return data.scatter(axis, places, updates)
    return data.scatter_reduce(axis, places, updates, _REDUCTIONS[reduction])


@operator("ScatterND")
def _scatter_nd(scope: Scope) -> fx.Node:
    return scope.call(_scatter_nd_at, *scope.tensors(), scope.attribute("reduction", "none"))


def _scatter_nd_at(data, indices, updates, reduction):
    depth = indices.shape[-1]
    parts = [_from_the_front(indices[..., level], data.shape[level]).reshape(-1) for level in range(depth)]
    flat = torch.zeros_like(parts[0])
    for part, size in zip(parts, data.shape[:depth], strict=True):
        flat = flat * size + part
    rows = data.reshape(-1, *data.shape[depth:]).clone()
    values = updates.reshape(-1, *data.shape[depth:])
    if reduction == "none":
        rows[flat] = values
    else:
        rows.index_reduce_(0, flat, values, _REDUCTIONS[reduction]) if reduction != "add" else rows.index_add_(
            0, flat, values
        )
    return rows.reshape(data.shape)


@operator("TensorScatter")
def _tensor_scatter(scope: Scope) -> fx.Node:
    mode, axis = scope.attribute("mode", "linear"), scope.attribute("axis", -2)
    return scope.call(_tensor_scatter_at, scope.tensor(0), scope.tensor(1), scope.tensor(2), axis, mode == "circular")


def _tensor_scatter_at(cache, update, starts, axis, circular):
    axis %= cache.ndim
    starts = torch.zeros(cache.shape[0], dtype=torch.int64) if starts is None else starts.long()
    steps = starts.unsqueeze(1) + torch.arange(update.shape[axis])
    steps = steps % cache.shape[axis] if circular else steps
    moved = cache.movedim(axis, 1).clone()
    moved[torch.arange(cache.shape[0]).unsqueeze(1), steps] = update.movedim(axis, 1)
    return moved.movedim(1, axis)


@operator("NonZero")
def _nonzero(scope: Scope) -> fx.Node:
    return scope.call(_nonzero_of, scope.tensor(0))


def _nonzero_of(data):
    return data.nonzero().t()


@operator("Compress")
def _compress(scope: Scope) -> fx.Node:
    return scope.call(_compressed, scope.tensor(0), scope.tensor(1), scope.attribute("axis"))


def _compressed(data, condition, axis):
    data = data.reshape(-1) if axis is None else data
    return data.index_select(axis or 0, condition.nonzero().reshape(-1))


@operator("Unique")
def _unique(scope: Scope) -> tuple[fx.Node, ...]:
    options = scope.attribute("axis"), bool(scope.attribute("sorted", 1))
    return scope.parts(scope.call(_unique_of, scope.tensor(0), *options), 4)


def _unique_of(data, axis, in_order):
    data, along = (data.reshape(-1), 0) if axis is None else (data, axis)
    values, places, counts = torch.unique(data, dim=along, return_inverse=True, return_counts=True)
    first = torch.full_like(counts, len(places)).scatter_reduce(0, places, torch.arange(len(places)), "amin")
    if not in_order:
        order = first.argsort()
        rank = order.argsort()
        values, places, counts, first = values.index_select(along, order), rank[places], counts[order], first[order]
    return values, first, places, counts
