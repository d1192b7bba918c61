"""Looks at memory agree with torch's own: same strides, same elements, refused where torch would copy."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.graph.fused.ir import Value
from workbench.graph.fused.read.views import BATCH, Part, View, view_of


def elements(view: View, batch: int) -> torch.Tensor:
    """Where each element of a view lies in memory, in the view's own shape; the batch is outermost in memory."""
    image = math.prod(view.base.shape)
    sizes = [batch if part.is_batch else part.size for dim in view.dims for part in dim]
    strides = [image if part.is_batch else part.stride for dim in view.dims for part in dim]
    memory = torch.arange(batch * image)
    shape = [math.prod(batch if part.is_batch else part.size for part in dim) for dim in view.dims]
    return torch.as_strided(memory, sizes, strides, view.offset).reshape(shape)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_chain_of_looks_shows_what_torch_shows(data):
    batch, tokens, features = 5, 6, 24  # 5 stands for the batch: no other size here is a multiple of it
    view = view_of(Value((tokens, features)))
    tensor = torch.arange(batch * tokens * features).view(batch, tokens, features)
    for _ in range(data.draw(st.integers(1, 6))):
        rank = len(view.dims)
        kind = data.draw(st.sampled_from(["permute", "split", "merge", "at", "between"]))
        if kind == "permute":
            order = data.draw(st.permutations(range(rank)))
            view, tensor = view.permuted(list(order)), tensor.permute(list(order))
            continue
        axis = data.draw(st.integers(0, rank - 1))
        size = tensor.shape[axis]
        if kind == "at":
            index = data.draw(st.integers(0, size - 1))
            found = view.at(axis, index)
            if found is not None:
                view, tensor = found, tensor.select(axis, index)
        elif kind == "between":
            start = data.draw(st.integers(0, size - 1))
            end = data.draw(st.integers(start + 1, size))
            found = view.between(axis, start, end)
            if found is not None and (start, end) != (0, size):
                view, tensor = found, tensor[(slice(None),) * axis + (slice(start, end),)]
        else:
            sizes = list(tensor.shape)
            if kind == "split":
                factor = data.draw(st.sampled_from([n for n in (1, 2, 3, 4, 6) if size % n == 0]))
                sizes[axis : axis + 1] = [factor, size // factor]
            elif axis + 1 < rank:
                sizes[axis : axis + 2] = [size * tensor.shape[axis + 1]]
            stand_ins = [n // batch * BATCH if n % batch == 0 else n for n in sizes]
            found = view.reshaped(stand_ins)
            if found is not None:
                view, tensor = found, tensor.reshape(sizes)
        if not view.dims:
            return
    assert torch.equal(elements(view, batch), tensor)


def test_heads_split_and_merged_again_are_the_value_itself():
    value = Value((7, 12))
    heads = view_of(value).reshaped([BATCH, 7, 3, 4]).permuted([0, 2, 1, 3])
    assert heads.dims[1:] == ((Part(3, 4),), (Part(7, 12),), (Part(4, 1),))
    assert heads.permuted([0, 2, 1, 3]).reshaped([BATCH, 7, 12]) == view_of(value)


def test_a_reshape_that_would_move_memory_is_none():
    assert view_of(Value((6, 4))).permuted([0, 2, 1]).reshaped([BATCH, 3, 8]) is None
