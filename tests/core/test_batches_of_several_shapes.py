"""A loader whose batches differ in shape keeps them: what is measured, learnt and run takes each as it comes."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from tests.engines.models import tolerance
from workbench import engines, models
from workbench.engines._program import executed
from workbench.errors import EngineError, WorkloadError
from workbench.measure.quality import Judged, evaluate
from workbench.models import _data
from workbench.precisions import registered
from workbench.recipe import Recipe
from workbench.techniques import Context
from workbench.techniques._training import Plan, outputs, train
from workbench.techniques.distill import Distill
from workbench.techniques.prune import Prune
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import LoadedWorkload, Workload

LENGTHS = (5,) * 4 + (7,) * 6 + (9,) * 2
BATCH = 8


class Batches(Dataset):
    """Whole batches, as a sampler that puts sentences of like lengths together makes them."""

    def __init__(self, batches: list) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int):
        return self.batches[index]


def loader(batches: list) -> DataLoader:
    return DataLoader(Batches(batches), batch_size=None)


def sentences(*lengths: int) -> DataLoader:
    """Tokens [8, T] and whether a sentence holds more large ones than small."""
    random = torch.Generator().manual_seed(0)
    tokens = [torch.randint(30, (BATCH, length), generator=random) for length in lengths]
    return loader([(each, (each >= 15).float().mean(1).round().long()) for each in tokens])


class Sentiment(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.hidden, self.head = nn.Embedding(30, 16), nn.Linear(16, 16), nn.Linear(16, 2)

    def forward(self, tokens):
        return self.head(self.hidden(self.words(tokens)).relu().mean(1))


class Edges(nn.Module):
    """A score for each pixel of an image of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, images):
        return self.conv2(self.conv1(images).relu())


def pictures() -> DataLoader:
    random = torch.Generator().manual_seed(0)
    images = [torch.rand(BATCH, 1, *size, generator=random) for size in ((8, 8), (8, 12), (8, 8))]
    return loader([(each, (each > 0.5).float()) for each in images])


def loaded(make: type[nn.Module], data: DataLoader) -> LoadedWorkload:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return models.load(Workload(make().eval(), data, train=data))


@pytest.fixture(scope="module", params=["sentences", "pictures"])
def workload(request) -> LoadedWorkload:
    return loaded(Sentiment, sentences(*LENGTHS)) if request.param == "sentences" else loaded(Edges, pictures())


def test_each_example_keeps_its_shape_and_the_notice_says_what_goes_by_one():
    workload = loaded(Sentiment, sentences(*LENGTHS))
    assert [tuple(part.inputs[0].shape) for part in workload.test.parts] == [(48, 7), (32, 5), (16, 9)]
    assert len(workload.test) == 96
    assert "batches of 3 shapes: quality and training take each as it is" in workload.note
    assert "latency and calibration go by [N, 7], which 48 of 96 examples have" in workload.note
    assert workload.example(3)[0].shape == (3, 7)


def test_every_fifth_example_is_set_aside_of_all_shapes():
    workload = models.load(Workload(Sentiment().eval(), sentences(*LENGTHS)))
    assert (len(workload.test), len(workload.train)) == (77, 19)
    assert len(workload.test.parts) == len(workload.train.parts) == 3


def test_equal_batches_have_equal_keys_and_others_do_not():
    keys = [loaded(Sentiment, sentences(*lengths)).key for lengths in (LENGTHS, LENGTHS, LENGTHS[1:])]
    assert keys[0] == keys[1] != keys[2]


def test_quality_is_that_of_every_batch_as_it_is(workload):
    metric = workload.task.metric
    terms = [metric.terms(workload.module(*part.inputs), part.targets) for part in workload.test.parts]
    found = Judged(workload.module, workload.test, metric)
    *_, last = evaluate(found, workload.module, workload.test, metric, batch=5)
    assert torch.allclose(found.terms, torch.cat(terms))
    assert last.variant.n == len(workload.test)
    assert last.variant.value == pytest.approx(metric.value(torch.cat(terms).numpy()))
    assert last.changed == 0


def test_batches_never_mix_shapes_and_come_in_the_order_asked_for(workload):
    order = torch.randperm(len(workload.test), generator=torch.Generator().manual_seed(1))
    batches = workload.test.batch_rows(3, order)
    assert sorted(torch.cat(batches).tolist()) == list(range(len(workload.test)))
    assert all(len(workload.test.at(rows).parts) == 1 for rows in batches)
    place = order.argsort()
    assert [int(place[rows[0]]) for rows in batches] == sorted(int(place[rows[0]]) for rows in batches)


def test_a_teacher_s_outputs_lie_beside_the_examples_that_they_are_for(workload):
    taught = outputs(workload.module, Context(workload.train), "asking")
    for rows in workload.train.batch_rows(4, torch.randperm(len(workload.train))):
        there = workload.module(*workload.train.at(rows).inputs)  # of another batch size: the last bit may differ
        assert torch.allclose(*taught.at(rows).inputs, there, rtol=0, atol=1e-6)


def test_training_learns_from_every_shape():
    workload = loaded(Sentiment, sentences(5, 7))
    seen = set()
    handle = workload.module.register_forward_pre_hook(lambda module, given: seen.add(given[0].shape[1]))
    train(
        workload.module, Plan("test", 3, 1e-3, batch=4), Context(workload.train), lambda outputs, rows: outputs.mean()
    )
    handle.remove()
    assert seen == {5, 7}


VARIANTS = {
    "fp32": (),
    "int8-static": (Quantize(calibration_samples=16),),
    "int8-dynamic": (Quantize(scheme="int8-dynamic"),),
    "pruned": (Prune(amount=0.5, finetune_epochs=1),),
    "distilled": (Distill(student="half-width", epochs=1),),
}


@pytest.mark.parametrize("steps", VARIANTS)
@pytest.mark.parametrize("engine", ["eager", "onnxruntime", "openvino"])
def test_a_runner_takes_each_batch_as_it_comes(workload, engine, steps):
    if reason := engines.find(engine).unavailable():
        pytest.skip(reason)
    if steps == "int8-dynamic" and not any(isinstance(each, nn.Linear) for each in workload.module.modules()):
        steps = "fp32"
    if reason := engines.find(engine).why_not(steps if steps in registered() else "fp32", "cpu"):
        pytest.skip(reason)
    variant = Variant(workload.module)
    for step in VARIANTS[steps]:
        context = Context(workload.train, workload.task.loss, saturates=engines.find(engine).saturates())
        variant = step.apply(variant, context)
    runner = engines.find(engine).prepare(variant, workload.example(4), threads=1)
    for part in workload.test.parts:
        inputs = part.at(slice(5)).inputs
        expected = executed(variant)(*inputs)
        assert (runner(*inputs) - expected).abs().max().item() <= tolerance(variant.precision, expected)


@pytest.mark.parametrize("engine", ["native", "compiled"])
def test_an_engine_that_prepares_for_one_shape_says_so(workload, engine):
    if reason := engines.find(engine).unavailable():
        pytest.skip(reason)
    with pytest.raises(EngineError, match=r"for inputs of one shape and these vary; .*eager, onnxruntime, openvino"):
        engines.find(engine).prepare(Variant(workload.module), workload.example(1), threads=1)


def test_a_model_that_holds_one_shape_is_refused_before_anything_is_measured():
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(7, 2)

        def forward(self, tokens):
            return self.head(tokens.float())

    with pytest.raises(WorkloadError, match=r"the model fails on inputs of shape \[2, 5\]"):
        loaded(Fixed, sentences(*LENGTHS))


def test_batches_of_other_dimensions_are_refused_in_one_line():
    odd = loader([(torch.rand(8, 4), torch.zeros(8)), (torch.rand(8, 4, 4), torch.zeros(8))])
    with pytest.raises(WorkloadError, match="the batches of data differ in more than the sizes of their tensors"):
        _data.read(odd, "data")


def test_a_run_of_it_ends_with_figures_of_all_examples(session):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        workload = Workload(Sentiment().eval(), sentences(*LENGTHS), train=sentences(*LENGTHS))
    run = session.start(workload, Recipe.parse(steps=[{"do": "quantize", "scheme": "int8-dynamic"}]))
    result = run.result()
    assert result.variant.quality.n == 96
    assert result.variant.engine in ("onnxruntime", "openvino", "eager")
    assert any("batches of 3 shapes" in notice for notice in run.notices)
