from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from torch import nn

from tests.techniques import parts
from workbench.errors import Cancelled, RecipeError, WorkbenchError
from workbench.techniques.prune import Prune
from workbench.techniques.prune.channels import channels_kept
from workbench.techniques.prune.masks import weights
from workbench.variant import Variant
from workbench.workload import Data

AT_ONCE = {"finetune_epochs": 0}


@pytest.fixture(scope="session")
def fewer(few):
    """Too few for some to be set aside, so that what training did is never undone."""
    return dataclasses.replace(few, train=few.train.at(slice(480)))


def pruned(module, context, **options):
    return Prune(**options).apply(Variant(module), context)


def weight_shapes(module):
    return {name: tuple(weight.shape) for name, weight in weights(module).items()}


def test_weights_that_stay_are_trained_more_gently_unless_a_rate_is_given():
    assert Prune().learning_rate == 4 * Prune(kind="weights").learning_rate
    assert Prune(kind="weights", learning_rate=0.01).learning_rate == 0.01
    assert "learning rate" not in Prune(kind="weights").label()
    assert "learning rate 0.0005" in Prune(learning_rate=0.0005).label()


def test_half_the_channels_leaves_physically_smaller_layers(workload, few):
    module = pruned(workload.module, few, amount=0.5, **AT_ONCE).module
    assert weight_shapes(module) == {
        "conv1.weight": (8, 1, 3, 3),
        "conv2.weight": (16, 8, 3, 3),
        "fc1.weight": (64, 16 * 7 * 7),
        "fc2.weight": (10, 64),
    }


@pytest.mark.parametrize("criterion", ["l1", "l2", "random"])
@pytest.mark.parametrize("architecture", parts.ARCHITECTURES[:4])
def test_every_architecture_still_runs_at_any_batch(few, architecture, criterion):
    original = parts.build(architecture)
    module = pruned(original, few, amount=0.7, criterion=criterion, **AT_ONCE).module
    assert sum(weight.numel() for weight in module.parameters()) < sum(
        weight.numel() for weight in original.parameters()
    )
    for batch in (1, 3):
        assert module(few.train.inputs[0][:batch]).shape == (batch, 10)


@pytest.mark.parametrize(("criterion", "kept"), [("l1", [0.3, 0.3, 0.3, 0.3]), ("l2", [1.0, 0.0, 0.0, 0.0])])
def test_the_smallest_sum_goes_by_l1_and_the_smallest_sum_of_squares_by_l2(few, criterion, kept):
    module = nn.Sequential(nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 3)).eval()
    with torch.no_grad():
        # sums 1.2 and 1, sums of squares 0.36 and 1; the layer after them treats both alike
        module[0].weight.copy_(torch.tensor([[0.3, 0.3, 0.3, 0.3], [1.0, 0.0, 0.0, 0.0]]))
        module[2].weight.fill_(0.1)
    rows = dataclasses.replace(few, train=Data(torch.rand(8, 4), torch.arange(8) % 3))
    smaller = pruned(module, rows, amount=0.5, criterion=criterion, **AT_ONCE).module
    assert torch.equal(smaller[0].weight, torch.tensor([kept]))


def test_layers_joined_by_a_residual_addition_lose_the_same_channels(few):
    module = pruned(parts.build(parts.Residual), few, amount=0.5, **AT_ONCE).module
    assert module.stem.out_channels == module.bn.num_features == module.conv.out_channels == 8


def test_a_depthwise_convolution_stays_depthwise(few):
    module = pruned(parts.build(parts.Depthwise), few, amount=0.5, **AT_ONCE).module
    depthwise = module.features[2]
    assert depthwise.groups == depthwise.in_channels == depthwise.out_channels == 8


def test_the_classes_are_never_pruned_and_the_reason_is_given(workload, few):
    variant = pruned(workload.module, few, amount=0.9, **AT_ONCE)
    assert variant.module.fc2.out_features == 10
    assert variant.unchanged == {"fc2": "all its outputs stay: they are the model's"}


def test_the_outputs_are_kept_behind_a_softmax_too(few):
    module = nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10), nn.LogSoftmax(1)).eval()
    assert pruned(module, few, **AT_ONCE).module[3].out_features == 10


def test_channels_written_into_the_forward_are_kept_with_that_reason(few):
    variant = pruned(parts.build(parts.WrittenOut), few, **AT_ONCE)
    assert variant.module.hidden.out_features == 32
    assert variant.unchanged["qkv"] == "its number of channels is written into the model's forward"


def test_the_width_of_an_attention_layer_is_kept_with_that_reason(few):
    variant = pruned(parts.build(parts.Attention), few, **AT_ONCE)
    assert variant.module.encoder.linear1.out_features == 32
    assert variant.unchanged["encoder.self_attn"] == "its channels are shared out between attention heads"


@pytest.mark.parametrize(
    ("channels", "amount", "kept"),
    [
        (16, 0.5, 8),
        (16, 0.9, 2),
        (16, 0.1, 14),
        (32, 0.9, 4),
        (64, 0.3, 48),
        (512, 0.5, 256),
        (10, 0.5, 5),
        (1, 0.9, 1),
    ],
)
def test_channel_counts_stay_friendly_to_vector_units(channels, amount, kept):
    assert channels_kept(channels, amount) == kept


def test_an_amount_too_small_for_any_channel_of_this_model_is_refused(workload, few):
    with pytest.raises(WorkbenchError, match=r"no channel of this model can be removed"):
        pruned(workload.module, few, amount=0.01)


@pytest.mark.parametrize("kind", ["channels", "weights"])
def test_an_amount_of_0_removes_nothing_and_every_layer_says_so(workload, few, kind):
    variant = pruned(workload.module, few, kind=kind, amount=0, **AT_ONCE)
    assert torch.equal(variant.module(few.train.inputs[0]), workload.module(few.train.inputs[0]))
    assert variant.unchanged == dict.fromkeys(("conv1", "conv2", "fc1", "fc2"), "an amount of 0 removes nothing")


def test_an_amount_of_0_still_fine_tunes(workload, fewer):
    before = weights(workload.module)
    after = weights(pruned(workload.module, fewer, amount=0, finetune_epochs=1).module)
    assert all(not torch.equal(before[name], after[name]) for name in before)


def test_more_than_nine_tenths_of_the_channels_is_refused_with_the_limit():
    with pytest.raises(RecipeError, match=r"prune amount is between 0 and 0.9 for channels, not 0.95"):
        Prune(amount=0.95)


def test_a_single_layer_can_lose_no_channel_and_the_toggle_says_so(few):
    module = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).eval()
    assert "the only one" in Prune().blocked(module)
    with pytest.raises(WorkbenchError, match="all its outputs stay"):
        pruned(module, few)


@pytest.mark.parametrize("amount", [0.5, 0.9, 0.99])
def test_weights_reach_the_sparsity_asked_for_to_within_one(workload, few, amount):
    module = pruned(workload.module, few, kind="weights", amount=amount, **AT_ONCE).module
    values = torch.cat([weight.flatten() for weight in weights(module).values()])
    assert abs(int((values == 0).sum()) - amount * len(values)) <= 1


def test_the_weights_that_stay_are_the_largest_of_all_layers_together(workload, few):
    module = pruned(workload.module, few, kind="weights", amount=0.8, **AT_ONCE).module
    before = torch.cat([weight.flatten() for weight in weights(workload.module).values()])
    after = torch.cat([weight.flatten() for weight in weights(module).values()])
    assert torch.equal(after[after != 0], before[after != 0])
    assert before[after == 0].abs().max() <= before[after != 0].abs().min()


def test_masked_weights_stay_zero_through_fine_tuning_while_others_move(workload, fewer):
    at_once = pruned(workload.module, fewer, kind="weights", amount=0.9, **AT_ONCE).module
    tuned = pruned(workload.module, fewer, kind="weights", amount=0.9, finetune_epochs=1).module
    for name, weight in weights(at_once).items():
        moved = tuned.get_parameter(name)
        assert bool((moved[weight == 0] == 0).all())
        assert not torch.equal(moved, weight)


def test_fine_tuning_wins_accuracy_back(workload, few):
    images, labels = workload.test.inputs[0][:1000], workload.test.targets[:1000]

    def correct(variant):
        return int((parts.logits(variant.module, images).argmax(1) == labels).sum())

    rough = pruned(workload.module, few, amount=0.7, **AT_ONCE)
    tuned = pruned(workload.module, few, amount=0.7, finetune_epochs=2)
    assert correct(tuned) > correct(rough)


@pytest.mark.parametrize("kind", ["channels", "weights"])
def test_equal_seeds_give_bit_equal_weights(workload, few, kind):
    first, second = (pruned(workload.module, few, kind=kind).module for _ in range(2))
    assert parts.same_weights(first, second)


def test_another_seed_gives_other_random_channels(workload, few):
    options = {"criterion": "random", **AT_ONCE}
    first = pruned(workload.module, few, **options).module
    second = pruned(workload.module, dataclasses.replace(few, seed=1), **options).module
    assert not parts.same_weights(first, second)


@pytest.mark.parametrize("options", [{}, {"kind": "weights"}, {"criterion": "random"}])
def test_the_given_module_and_torchs_random_numbers_stay_as_they_were(workload, few, options):
    before, random_state = copy.deepcopy(workload.module), torch.get_rng_state()
    pruned(workload.module, few, **options)
    assert parts.same_weights(workload.module, before)
    assert not workload.module.training
    assert torch.equal(torch.get_rng_state(), random_state)


@pytest.mark.parametrize("kind", ["channels", "weights"])
def test_cancelling_stops_at_the_next_batch_and_leaves_nothing_behind(workload, few, kind):
    before, random_state = copy.deepcopy(workload.module), torch.get_rng_state()
    checkpoint, points = parts.CancelAfter(4), []
    context = dataclasses.replace(few, checkpoint=checkpoint, curve=points.append)
    with pytest.raises(Cancelled):
        pruned(workload.module, context, kind=kind)
    assert max(point.step for point in points) <= 4
    assert parts.same_weights(workload.module, before)
    assert torch.equal(torch.get_rng_state(), random_state)


def test_the_pruned_model_is_ready_to_run(workload, few):
    module = pruned(workload.module, few).module
    assert not module.training
    assert not any(layer.training for layer in module.modules())


def test_its_words_are_short():
    assert Prune().summary() == "prune 50 % channels"
    assert Prune(kind="weights", amount=0.905).summary() == "prune 90.5 % weights"
