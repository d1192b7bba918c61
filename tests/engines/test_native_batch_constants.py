"""What a model makes of its batch size alone is kept for one example, and never made for a batch of millions."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from workbench import kernels
from workbench.engines.native import Native
from workbench.engines.native.runner import NativeRunner
from workbench.graph import export
from workbench.graph.fused.read.reader import read
from workbench.variant import Variant

pytestmark = pytest.mark.skipif(kernels.unavailable() is not None, reason=str(kernels.unavailable()))
WORDS, TYPES, TOKENS, WIDTH = 90, 2, 12, 24
EPSILON = torch.finfo(torch.float32).eps


class Bert(nn.Module):
    """Words, places and token types, then torch's own encoder; ``types`` makes the token types of a batch."""

    def __init__(self, types) -> None:
        super().__init__()
        self.types = types
        self.words, self.places = nn.Embedding(WORDS, WIDTH), nn.Embedding(TOKENS, WIDTH)
        self.kinds, self.norm = nn.Embedding(TYPES, WIDTH), nn.LayerNorm(WIDTH)
        self.place_ids = nn.Buffer(torch.arange(TOKENS)[None])
        self.type_ids = nn.Buffer(torch.zeros(1, TOKENS, dtype=torch.long))
        layer = nn.TransformerEncoderLayer(WIDTH, 3, 40, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, 4)

    def forward(self, ids):
        places = self.places(self.place_ids[:, : ids.shape[1]])
        x = self.words(ids.long()) + self.kinds(self.types(self, ids)) + places
        return self.head(self.encoder(self.norm(x))[:, 0])


TOKEN_TYPES = {
    "zeros": lambda model, ids: torch.zeros(ids.shape, dtype=torch.long),
    "new zeros": lambda model, ids: ids.new_zeros(ids.shape[0], TOKENS).long(),
    "zeros alike": lambda model, ids: torch.zeros_like(ids, dtype=torch.long),
    "a buffer, expanded": lambda model, ids: model.type_ids[:, :TOKENS].expand(ids.shape[0], TOKENS),
    "a buffer, repeated": lambda model, ids: model.type_ids.repeat(ids.shape[0], 1),
}


class Largest(TorchDispatchMode):
    """Notes how many numbers the largest tensor has that an operator makes; an expanded one has those it is made of."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor):
            self.numbers = max(self.numbers, made.untyped_storage().nbytes() // made.element_size())
        return made


@pytest.mark.parametrize("types", TOKEN_TYPES)
def test_token_types_made_for_the_batch_are_added_to_every_example(types):
    torch.manual_seed(0)
    model, ids = Bert(TOKEN_TYPES[types]).eval(), torch.randint(0, WORDS, (8, TOKENS)).float()
    runner = Native().prepare(Variant(model), ids[:2], threads=1)
    assert isinstance(runner, NativeRunner)
    for batch in (1, 3, 8):
        with torch.no_grad():
            wanted = model(ids[:batch])
        # Each product of n ≤ 40 terms errs by about ε · √n and each norm keeps that relative size; twelve of them.
        assert (runner(ids[:batch]) - wanted).norm() <= 12 * 40**0.5 * EPSILON * wanted.norm()


@pytest.mark.parametrize("types", TOKEN_TYPES)
def test_nothing_larger_than_the_model_is_made_to_read_it(types):
    model = Bert(TOKEN_TYPES[types]).eval()
    module = export(model, torch.zeros(2, TOKENS)).module()
    with Largest() as largest:
        read(module)
    assert largest.numbers <= max(parameter.numel() for parameter in model.parameters())
