"""Training with rounded numbers: what is trained is what runs, and it wins back what rounding lost."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.techniques import parts
from tests.techniques.test_few_bits import context_of, numbers_of
from workbench import engines
from workbench.errors import WorkbenchError
from workbench.measure.fidelity import require_faithful
from workbench.measure.weights import layer_states
from workbench.precisions import registered
from workbench.techniques import Context
from workbench.techniques.prune import Prune
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Data

SCHEMES = [name for name, each in registered().items() if each.weights]
WHOLE_INPUTS = [name for name in SCHEMES if not (formats := registered()[name].activations) or formats.bits == 8]
SOME = ["int8-static", "int4-static", "int2-static", "ternary-static", "binary-static"]


class Parts(nn.Module):
    """Convolutions plain, depthwise and transposed, a batch norm that turns signs, and a weight that two share."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, groups=8)
        self.up = nn.ConvTranspose2d(8, 4, 2, groups=2)
        self.twice = nn.Linear(4 * 49, 4 * 49)
        self.same = nn.Linear(4 * 49, 4 * 49)
        self.same.weight = self.twice.weight
        self.head = nn.Linear(4 * 49, 5)
        with torch.no_grad():
            self.bn.weight[::2] = -0.5

    def forward(self, images):
        features = torch.relu(self.bn(self.conv(images)))
        features = torch.relu(self.up(self.depthwise(features))).flatten(1)
        return self.head(torch.relu(self.same(torch.relu(self.twice(features)))))


@pytest.fixture(scope="module")
def parts_and_data() -> tuple[nn.Module, Context]:
    torch.manual_seed(0)
    module, images = Parts(), torch.randn(256, 3, 8, 8)
    module.bn.momentum = None  # the mean of what it has seen
    with torch.no_grad():
        module.train()(images)
        classes = module.eval()(images).argmax(1)
    return module, Context(train=Data(images, classes))


def trained(module: nn.Module, context: Context, **options) -> Variant:
    return Quantize(**{"epochs": 1} | options).apply(Variant(module), context)


def distance(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).detach().norm() / wanted.detach().norm())


@pytest.mark.parametrize("scheme", WHOLE_INPUTS)
def test_the_weights_that_were_trained_are_those_that_run(parts_and_data, scheme):
    module, context = parts_and_data
    variant = trained(module, context, scheme=scheme, correct_biases=False)
    images = context.train.inputs[0][:32]
    with torch.no_grad():
        wanted, found = variant.module(images), variant.graph(images)
        before = module(images)
    assert distance(wanted, before) > 1e-3  # it was trained
    activations = 0.02 if registered()[scheme].activations else 1e-5  # these alone are still to be rounded
    assert distance(found, wanted) < activations
    assert not variant.notices


@pytest.mark.parametrize("scheme", SOME)
def test_every_layer_has_no_more_numbers_than_its_bits_allow(parts_and_data, scheme):
    module, context = parts_and_data
    variant = trained(module, context, scheme=scheme)
    formats = registered()[scheme].weights
    states = layer_states(variant)
    for name in ("conv", "depthwise", "up", "twice", "head"):
        weight = variant.module.get_submodule(name).weight.detach()
        channels = weight.movedim(1, 0) if name == "up" else weight
        assert all(len(each.unique()) <= (formats.levels or 2**formats.bits) for each in channels)
        assert states[name].dtype == f"int{formats.bits}"
    assert variant.module.same.weight is variant.module.twice.weight


def test_training_wins_back_what_rounding_lost_and_without_targets_the_exact_model_teaches(workload, few):
    images, classes = workload.test.inputs[0][:1000], workload.test.targets[:1000]

    def accuracy(context: Context, epochs: int) -> float:
        variant = Quantize(scheme="binary-static", epochs=epochs).apply(Variant(workload.module), context)
        return float((parts.logits(variant.graph, images).argmax(1) == classes).float().mean())

    untrained = accuracy(few, epochs=0)
    assert accuracy(few, epochs=2) > untrained + 0.2
    assert accuracy(Context(train=Data(few.train.inputs)), epochs=2) > untrained + 0.2


def test_pruned_weights_stay_zero(parts_and_data):
    module, context = parts_and_data
    pruned = Prune(kind="weights", amount=0.5, finetune_epochs=0).apply(Variant(module), context)
    variant = Quantize(scheme="int4-static", epochs=1).apply(pruned, context)
    for name in ("conv", "twice", "head"):
        zeros = pruned.module.get_submodule(name).weight == 0
        assert zeros.any()
        assert not variant.module.get_submodule(name).weight[zeros].any()


def test_layers_that_stay_in_fp32_are_trained_with_the_others(parts_and_data):
    module, context = parts_and_data
    variant = trained(module, context, scheme="int2-static", overrides={"head": "fp32", "conv": "int8-static"})
    assert len(variant.module.head.weight.unique()) > 100
    assert not torch.equal(variant.module.head.weight, module.head.weight)
    assert len(variant.module.conv.weight[0].unique()) > 4
    assert "head" in variant.unchanged


def test_seven_bits_are_trained_where_the_engine_saturates(parts_and_data):
    module, context = parts_and_data
    saturating = Context(train=context.train, saturates=True)
    variant = trained(module, saturating, scheme="int8-static")
    numbers = torch.cat([each.flatten() for each, _ in numbers_of(variant)])
    assert 32 < numbers.abs().max() <= 64
    assert all("weights in 7 bits" in remark for remark in variant.remarks.values())


@pytest.mark.parametrize("name", parts.ENGINES_OF_BYTES)
def test_every_engine_runs_what_was_trained_whatever_the_sign_of_its_scales(parts_and_data, name):
    engine = engines.find(name)
    if reason := engine.why_not("int4-static", "cpu"):
        pytest.skip(reason)
    module, context = parts_and_data
    variant = trained(module, Context(train=context.train, saturates=engine.saturates()), scheme="int4-static")
    runner = engine.prepare(variant, context.train.inputs[0][:4], threads=1)
    try:
        require_faithful(engine, runner, variant, context.train.inputs, batch=4)
    finally:
        runner.close()


def test_the_same_seed_trains_the_same_weights(parts_and_data):
    module, context = parts_and_data
    one, other = (trained(module, context, scheme="int3-static").module.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_given_model_stays_as_it_was(parts_and_data):
    module, context = parts_and_data
    before = {name: each.clone() for name, each in module.state_dict().items()}
    trained(module, context, scheme="int4-static")
    assert before.keys() == module.state_dict().keys()
    assert all(torch.equal(before[name], each) for name, each in module.state_dict().items())


def test_training_that_makes_it_worse_is_undone_and_said(workload, few):
    steps = [Quantize(scheme="int4-static", epochs=epochs, learning_rate=0.02) for epochs in (0, 1)]
    untrained, undone = (step.apply(Variant(workload.module), few) for step in steps)
    (notice,) = undone.notices
    assert "made accuracy worse" in notice
    assert undone.module is workload.module
    images = workload.test.inputs[0][:8]
    assert torch.equal(undone.graph(images), untrained.graph(images))


def test_a_model_of_which_nothing_can_be_trained_rounded_is_told_so():
    module = nn.GRU(4, 4, batch_first=True).eval()

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = module

        def forward(self, steps):
            return self.gru(steps)[0][:, -1]

    with pytest.raises(WorkbenchError, match="takes none of this model; train 0 epochs"):
        trained(Last().eval(), context_of(torch.rand(64, 5, 4)), scheme="int8-weights")
