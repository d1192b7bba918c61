from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from workbench.errors import WorkbenchError
from workbench.techniques import Context
from workbench.techniques.prune import Prune
from workbench.variant import Variant
from workbench.workload import Data

OUTPUTS = "all its outputs stay: they are the model's"


@pytest.fixture
def rows():
    return torch.rand(16, 6, generator=torch.Generator().manual_seed(0))


def pruned(module, inputs, labels=None, **options):
    labels = torch.zeros(len(inputs), dtype=torch.int64) if labels is None else labels
    step = Prune(**{"finetune_epochs": 0, **options})
    return step.apply(Variant(module.eval()), Context(train=Data(inputs, labels)))


class Branching(nn.Module):
    """Two layers of one shape, of which ``first`` decides; each is followed by the same head."""

    def __init__(self, first) -> None:
        super().__init__()
        self.one, self.other, self.head = nn.Linear(6, 16), nn.Linear(6, 16), nn.Linear(16, 3)
        self.first = first

    def forward(self, rows):
        return self.head(torch.relu(self.one(rows) if self.first(rows) else self.other(rows)))


@pytest.mark.parametrize(
    "first",
    [
        lambda rows: rows.mean() > 0,
        lambda rows: rows.abs().max() < 50,
        lambda rows: float(rows.std()) > 0.01,
        lambda rows: rows.sum(1).argmax().item() == 0,
        lambda rows: torch.equal(rows, rows.abs()),
        lambda rows: bool((rows > 0).all()),
        lambda rows: torch.allclose(rows, rows[:1], atol=0.1),
    ],
    ids=["mean", "largest", "spread", "argmax", "equal", "all", "close"],
)
def test_a_forward_that_decides_by_its_input_is_refused_in_one_line(rows, first):
    with pytest.raises(WorkbenchError, match=r"reads numbers that depend on the input.*; decide with torch.where"):
        pruned(Branching(first), rows)


def test_weights_alone_are_pruned_where_a_forward_decides_by_its_input(rows):
    module = pruned(Branching(lambda rows: rows.mean() > 0), rows, kind="weights").module
    assert module(rows).shape == module(-rows).shape == (16, 3)


def test_a_forward_that_reads_a_constant_or_a_shape_is_pruned(rows):
    class Tempered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.head = nn.Linear(6, 16), nn.Linear(16, 3)
            self.register_buffer("temperature", torch.tensor(2.0))

        def forward(self, rows):
            if torch.isnan(rows).any() or len(rows) > 1000:
                raise ValueError("too much")
            return self.head(torch.relu(self.hidden(rows))) / self.temperature.item()

    module = pruned(Tempered(), rows).module
    assert module.hidden.out_features == 8
    assert module(rows).shape == (16, 3)


@pytest.mark.filterwarnings("ignore:.*norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("kind", ["channels", "weights"])
@pytest.mark.parametrize(
    "computed",
    [
        parametrizations.weight_norm,
        parametrizations.spectral_norm,
        weight_norm,
        spectral_norm,
        lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
    ],
    ids=["weight norm", "spectral norm", "weight norm in a hook", "spectral norm in a hook", "masked"],
)
def test_layers_that_compute_their_weights_are_pruned_as_plain_ones(rows, computed, kind):
    module = nn.Sequential(computed(nn.Linear(6, 32)), nn.ReLU(), computed(nn.Linear(32, 16)), nn.Linear(16, 3))
    before = module.eval()(rows)
    variant = pruned(module, rows, kind=kind)
    kept = {"3": OUTPUTS} if kind == "channels" else {}
    assert variant.unchanged == kept
    assert [type(layer.weight) for layer in variant.module if isinstance(layer, nn.Linear)] == [nn.Parameter] * 3
    assert (variant.module[0].out_features < 32) == (kind == "channels")
    assert torch.equal(module(rows), before)


def test_a_layer_that_is_used_without_being_called_is_not_said_to_be_unused(rows):
    class Reading(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.read, self.hidden, self.head = nn.Linear(6, 6), nn.Linear(6, 16), nn.Linear(16, 3)

        def forward(self, rows):
            return self.head(torch.relu(self.hidden(rows @ self.read.weight)))

    variant = pruned(Reading(), rows)
    assert variant.module.hidden.out_features == 8
    assert variant.unchanged["read"] == "its channels can't be followed through what the model does with them"


def test_a_part_without_gradients_stays_and_is_not_said_to_be_unused(rows):
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.frozen, self.hidden, self.head = nn.Linear(6, 32), nn.Linear(32, 16), nn.Linear(16, 3)

        def forward(self, rows):
            with torch.no_grad():
                features = torch.relu(self.frozen(rows))
            return self.head(torch.relu(self.hidden(features)))

    variant = pruned(Frozen(), rows)
    assert (variant.module.frozen.out_features, variant.module.hidden.out_features) == (32, 8)
    assert variant.unchanged["frozen"] == "its channels can't be followed through what the model does with them"


def test_a_layer_with_a_fixed_number_of_inputs_is_named(rows):
    class Unflattened(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide, self.fold = nn.Linear(6, 32), nn.Unflatten(1, (2, 16))
            self.hidden, self.head = nn.Linear(16, 16), nn.Linear(16, 3)

        def forward(self, rows):
            return self.head(torch.relu(self.hidden(self.fold(torch.relu(self.wide(rows))).sum(1))))

    variant = pruned(Unflattened(), rows)
    assert variant.module.hidden.out_features == 8
    assert variant.unchanged["wide"] == "'fold' (Unflatten) takes the number of channels it has"


@pytest.mark.parametrize("kind", ["channels", "weights"])
@pytest.mark.parametrize("amount", [0, 0.5])
def test_fine_tuning_on_targets_that_nothing_fits_is_refused_before_anything_is_pruned(rows, kind, amount):
    module, progress = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3)), []
    context = Context(train=Data(rows, rows.sum(1)), progress=lambda message, done, total: progress.append(message))
    with pytest.raises(WorkbenchError, match=r"prune trains, and no metric fits .* targets of float32 \[16\]"):
        Prune(kind=kind, amount=amount).apply(Variant(module.eval()), context)
    assert not progress


def test_a_regressor_is_pruned_and_fine_tuned(rows):
    module = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
    assert pruned(module, rows, labels=rows.sum(1)).module[0].out_features == 8


def test_fine_tuning_brings_a_regressor_back_to_what_it_was_good_for():
    torch.manual_seed(0)
    rows = torch.rand(512, 6)
    wanted = (rows.sum(1) + rows[:, 0] * rows[:, 1]).unsqueeze(1)
    module = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    for _ in range(300):
        optimizer.zero_grad()
        nn.functional.mse_loss(module(rows), wanted).backward()
        optimizer.step()

    def error(model: nn.Module) -> float:
        with torch.no_grad():
            return float((model(rows) - wanted).abs().mean())

    before = error(module)
    cut, tuned = (error(pruned(module, rows, wanted, finetune_epochs=epochs).module) for epochs in (0, 5))
    assert before < 0.1
    assert cut > 3 * before
    assert tuned < 0.5 * cut


def test_a_model_whose_operations_say_nothing_of_channels_is_refused_in_one_line(rows):
    class Detached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.head = nn.Linear(6, 16), nn.Linear(16, 3)

        def forward(self, rows):
            return self.head(torch.relu(self.hidden(rows))).detach()

    with pytest.raises(WorkbenchError) as refused:
        pruned(Detached(), rows)
    assert "\n" not in str(refused.value)


def test_layers_of_no_effect_yet_and_parameters_that_are_no_weights_are_no_hindrance(rows):
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.more, self.head = nn.Linear(6, 16), nn.Linear(16, 16), nn.Linear(16, 3)
            self.spread = nn.Parameter(torch.tensor([1.0, 1e-6, 4.0]))
            self.order = nn.Parameter(torch.tensor([2, 0, 1]), requires_grad=False)
            nn.init.zeros_(self.head.weight)

        def forward(self, rows):
            features = torch.relu(self.more(torch.relu(self.hidden(rows))))
            return (self.head(features) * self.spread.sqrt())[:, self.order]

    module = pruned(Odd(), rows).module
    assert (module.hidden.out_features, module.more.out_features) == (8, 8)


def test_channels_that_no_layer_tells_apart_yet_are_still_followed_to_the_right_ones(rows):
    """As at the start of a training that begins with a head of zeros: whatever is cut, the outputs are the same."""

    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide, self.head = nn.Conv1d(1, 16, 3, padding=1), nn.Linear(96, 3)
            nn.init.zeros_(self.head.weight)

        def forward(self, rows):
            return self.head(self.wide(rows[:, None]).transpose(1, 2).flatten(1))

    with pytest.raises(WorkbenchError, match="wide: its channels can't be followed"):
        pruned(Turned(), rows)
