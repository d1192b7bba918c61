"""What a model has to do is told by its outputs and its targets, and said where it was chosen."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from workbench.errors import WorkloadError
from workbench.models import load
from workbench.workload import Workload

N = 40
GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(N, 6, generator=GENERATOR)
IMAGES = torch.rand(N, 3, 8, 8, generator=GENERATOR)
TOKENS = torch.randint(11, (N, 5), generator=GENERATOR)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(11, 8), nn.Linear(8, 11)

    def forward(self, tokens):
        return self.head(self.embedding(tokens))


def masks() -> nn.Module:
    """A score for each pixel, below zero whatever the weights: no probability."""
    scores = nn.Conv2d(3, 1, 1)
    nn.init.constant_(scores.bias, -4.0)
    return scores


def sigmoid_masks() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 1, 1), nn.Sigmoid())


def of_tokens(last: nn.Module, outputs: int) -> nn.Module:
    """What takes whole numbers alone, which can't be told by larger ones."""
    return nn.Sequential(nn.EmbeddingBag(11, 8), nn.Linear(8, outputs), last)


def ends_in(last: nn.Module, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(6, outputs), last)


def steady(outputs: int) -> nn.Module:
    """Scores that all lie between 0 and 1 for inputs as they are, which makes them no probabilities."""
    scores = nn.Linear(6, outputs)
    nn.init.constant_(scores.bias, 0.5)
    nn.init.uniform_(scores.weight, -0.01, 0.01)
    return scores


@pytest.mark.parametrize(
    ("model", "data", "metric", "loss"),
    [
        (ends_in(nn.Sigmoid(), 1), (X, torch.arange(N) % 2), "auroc", "binary-probabilities"),
        (ends_in(nn.Sigmoid(), 3), (X, (X[:, :3] > 0).float()), "auroc", "binary-probabilities"),
        (ends_in(nn.Softmax(1), 3), (X, torch.arange(N) % 3), "accuracy", "cross-entropy-probabilities"),
        (steady(1), (X, torch.arange(N) % 2), "auroc", "binary"),
        (steady(3), (X, (X[:, :3] > 0).float()), "auroc", "binary"),
        (nn.Linear(6, 3), (X, torch.arange(N) % 3), "accuracy", "cross-entropy"),
        (nn.Linear(6, 3), (X, (torch.arange(N) % 3).float()), "accuracy", "cross-entropy"),
        (nn.Linear(6, 3), (X, torch.eye(3)[torch.arange(N) % 3]), "accuracy", "cross-entropy"),
        (nn.Linear(6, 1), (X, X.sum(1)), "mae", "mse"),
        (nn.Linear(6, 1), (X.double().numpy(), X.sum(1, keepdim=True).numpy()), "mae", "mse"),
        (nn.Linear(6, 2), (X, X[:, :2]), "mae", "mse"),
        (nn.Linear(6, 4), (X, X[:, :4] > 0), "auroc", "binary"),
        (nn.Linear(6, 4), (X, (X[:, :4] > 0).float()), "auroc", "binary"),
        (nn.Linear(6, 1), (X, X[:, 0] > 0), "auroc", "binary"),
        (nn.Conv2d(3, 5, 1), (IMAGES, torch.randint(5, (N, 8, 8))), "mean-iou", "cross-entropy"),
        (of_tokens(nn.Sigmoid(), 3), (TOKENS, (X[:, :3] > 0).float()), "auroc", "binary-probabilities"),
        (of_tokens(nn.Softmax(1), 3), (TOKENS, torch.arange(N) % 3), "accuracy", "cross-entropy-probabilities"),
        (of_tokens(nn.Identity(), 3), (TOKENS, torch.arange(N) % 3), "accuracy", "cross-entropy"),
        (sigmoid_masks(), (IMAGES, (IMAGES[:, :1] > 0.5).float()), "mask-iou", "binary-probabilities"),
        (masks(), (IMAGES, (IMAGES[:, :1] > 0.5).float()), "mask-iou", "binary"),
        (masks(), (IMAGES, IMAGES[:, 0] > 0.5), "mask-iou", "binary"),
        (masks(), (IMAGES, (IMAGES[:, 0] > 0.5).to(torch.uint8)), "mask-iou", "binary"),
        (Tagger(), (TOKENS, TOKENS.roll(-1, 1)), "perplexity", "token-cross-entropy"),
        (
            nn.Sequential(Tagger(), nn.Softmax(2)),
            (TOKENS, TOKENS.roll(-1, 1)),
            "perplexity",
            "token-cross-entropy-probabilities",
        ),
        (nn.Linear(6, 3), X, "agreement", "cross-entropy"),
        (nn.Linear(6, 3), (X, None), "agreement", "cross-entropy"),
        (nn.Conv2d(3, 5, 1), IMAGES, "relative-error", "mse"),
    ],
)
def test_metric_and_loss_go_by_outputs_and_targets(model, data, metric, loss):
    task = load(Workload(model, data)).task
    assert (task.metric.name, task.loss.name) == (metric, loss)


def test_masks_are_what_has_a_probability_of_more_than_a_half():
    model, masks = sigmoid_masks(), IMAGES[:, :1] > 0.5
    for metric in ("auto", "mask-iou"):
        metric = load(Workload(model, (IMAGES, masks), metric=metric, loss="mse")).task.metric
        terms = metric.terms(torch.where(masks, 0.6, 0.4), masks)
        assert metric.value(terms.numpy()) == 1


@pytest.mark.parametrize(
    ("data", "unit", "per_example"), [(IMAGES, "images", 1), (X, "rows", 1), (TOKENS, "tokens", 5)]
)
def test_throughput_counts_what_the_inputs_are(data, unit, per_example):
    model = {"images": nn.Conv2d(3, 5, 1), "rows": nn.Linear(6, 3), "tokens": Tagger()}[unit]
    counted = load(Workload(model, data)).task.counted
    assert (counted.unit, counted.per_example) == (unit, per_example)


def test_a_notice_says_which_metric_was_chosen():
    assert "judged by mean absolute error" in load(Workload(nn.Linear(6, 1), (X, X.sum(1)))).note
    of_classes = load(Workload(nn.Linear(6, 3), X)).note
    assert "no targets: judged by agreement with the untouched model" in of_classes
    assert "taken for scores of classes; of embeddings metric='relative-error'" in of_classes
    assert "scores of classes" not in load(Workload(nn.Linear(6, 3), X, metric="agreement")).note
    assert "judged" not in load(Workload(nn.Linear(6, 1), (X, X.sum(1)), metric="rmse")).note


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_tokens_stay_whole_numbers(dtype):
    loaded = load(Workload(Tagger(), (TOKENS.to(dtype), TOKENS)))
    assert loaded.test.inputs[0].dtype == dtype


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_other_floats_become_float32(dtype):
    assert load(Workload(nn.Linear(6, 3), X.to(dtype))).test.inputs[0].dtype == torch.float32


def test_whole_numbers_become_floats_where_the_model_takes_no_others():
    loaded = load(Workload(nn.Linear(6, 3), (TOKENS.repeat(1, 2)[:, :6], torch.arange(N) % 3)))
    assert loaded.test.inputs[0].dtype == torch.float32
    assert "int64 inputs were converted to float32" in loaded.note


class WithMask(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(6, 3)

    def forward(self, x, keep):
        return self.head(torch.where(keep, x, 0.0))


def test_a_mask_of_yes_and_no_stays_one():
    loaded = load(Workload(WithMask(), ((X, X > 0), torch.arange(N) % 3)))
    assert loaded.test.inputs[1].dtype == torch.bool


def closeness(outputs, targets):
    return -(outputs[:, 0] - targets).abs()


def test_a_function_is_a_metric_and_has_a_key_of_its_own():
    workload = Workload(nn.Linear(6, 1), (X, X.sum(1)), metric=closeness)
    assert load(workload).task.metric.name == "closeness"
    assert load(workload).key != load(Workload(workload.model, workload.data)).key
    assert load(workload).key == load(workload).key


def test_a_torchmetrics_metric_is_a_metric():
    import torchmetrics

    metric = torchmetrics.MeanSquaredError()
    assert load(Workload(nn.Linear(6, 1), (X, X.sum(1)), metric=metric)).task.metric.better == "lower"


class Endless(torch.utils.data.IterableDataset):
    """Rows of one length after the other."""

    def __init__(self, *lengths: int):
        self.lengths = lengths

    def __iter__(self):
        for index in itertools.count():
            yield X[index % N, : self.lengths[index // 8 % len(self.lengths)]], index % 3


@pytest.mark.parametrize(
    "stream",
    [
        lambda data: data,
        lambda data: torch.utils.data.DataLoader(data, batch_size=8),
        lambda data: torch.utils.data.DataLoader(data, batch_size=8, num_workers=1),
    ],
    ids=["a data set", "a loader", "a loader with a worker"],
)
def test_what_has_no_end_is_read_up_to_a_budget_and_the_notice_says_how_much(stream, monkeypatch):
    monkeypatch.setattr("workbench.models._data._STREAM_BYTES", 2000)
    loaded = load(Workload(nn.Linear(6, 3), stream(Endless(6))))
    read = 2000 // (6 * 4 + 8) // 2 * 2  # a float32 row and its class each
    count = len(loaded.test) + len(loaded.train)
    assert read - 8 < count <= read
    assert f"the first {count} examples of data were read, 0 MB; more don't count" in loaded.note


def test_of_small_examples_without_an_end_so_many_are_read_as_take_seconds(monkeypatch):
    monkeypatch.setattr("workbench.models._data._STREAM_EXAMPLES", 50)
    loaded = load(Workload(nn.Linear(6, 3), Endless(6)))
    assert len(loaded.test) + len(loaded.train) == 50
    assert "the first 50 examples of data were read" in loaded.note


def test_batches_of_several_shapes_without_an_end_are_read_up_to_the_budget(monkeypatch):
    class Sum(nn.Module):
        def forward(self, x):
            return x.sum(1, keepdim=True) * torch.ones(3)

    monkeypatch.setattr("workbench.models._data._STREAM_BYTES", 2000)
    loader = torch.utils.data.DataLoader(Endless(6, 4), batch_size=8)
    loaded = load(Workload(Sum(), loader))
    assert "examples of data were read" in loaded.note
    assert "data has batches of 2 shapes" in loaded.note


def test_of_a_stream_the_first_batch_is_read_however_large_it_is(monkeypatch):
    monkeypatch.setattr("workbench.models._data._STREAM_BYTES", 20)
    loaded = load(Workload(nn.Linear(6, 3), torch.utils.data.DataLoader(Endless(6), batch_size=10)))
    assert len(loaded.test) + len(loaded.train) == 10


def test_dictionaries_of_a_data_set_are_joined_by_their_keys():
    class Words(torch.utils.data.Dataset):
        def __len__(self):
            return N

        def __getitem__(self, index):
            return {"tokens": TOKENS[index], "labels": TOKENS[index]}

    loaded = load(Workload(Tagger(), torch.utils.data.DataLoader(Words(), batch_size=7)))
    assert loaded.test.inputs[0].shape == (32, 5)
    assert loaded.task.metric.name == "perplexity"


def test_an_npz_of_several_arrays_holds_inputs_by_name(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, x=X.numpy(), keep=(X > 0).numpy(), targets=np.arange(N) % 3)
    assert load(Workload(WithMask(), str(path))).task.metric.name == "accuracy"


@pytest.mark.parametrize(
    ("model", "data", "options", "told"),
    [
        (nn.Linear(6, 3), (X, torch.arange(N)), {}, "target 3 at index 3 is outside 0…2"),
        (nn.Linear(6, 3), (X, torch.rand(N)), {}, "target .* at index 0 of data is no class number"),
        (nn.Linear(6, 3), (X, torch.rand(N, 5)), {}, "no metric fits outputs"),
        (nn.Linear(6, 1), (X, torch.full((N,), float("nan"))), {}, "targets of data hold NaN"),
        (nn.Linear(6, 1), (X, X.sum(1)), {"metric": "accuracy"}, "the test examples: accuracy needs outputs"),
        (nn.Linear(6, 1), (X, X.sum(1)), {"metric": "accurcy"}, "did you mean accuracy"),
        (nn.Linear(6, 1), (X, X.sum(1)), {"loss": "cross-entropy"}, "the train examples: cross-entropy needs"),
        (nn.Linear(6, 1), X, {"metric": "mae"}, "needs targets and the data have none"),
        (nn.Linear(6, 3), ((X, X[:7]), torch.arange(N) % 3), {}, "differ in length"),
        (nn.Linear(6, 3), (X, torch.arange(7)), {}, "holds 40 inputs and 7 targets"),
        (nn.Linear(6, 3), (["some", "text"], [0, 1]), {}, "holds text.* tokenizer"),
        (nn.Linear(6, 3), (X, X, torch.arange(N)), {}, r"give \(inputs, targets\), several inputs as"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(model, data, options, told):
    with pytest.raises(WorkloadError, match=told):
        load(Workload(model, data, **options))


@pytest.mark.parametrize(
    ("model", "targets", "options", "told"),
    [
        (nn.Linear(6, 1), torch.zeros(N, dtype=torch.int64), {}, "AUROC needs targets that differ, and all 32 are 0"),
        (nn.Linear(6, 3), torch.ones(N, 3), {}, "AUROC needs targets that differ, and all 32 are the same"),
        (nn.Linear(6, 1), torch.full((N,), 2.5), {"metric": "spearman"}, "Spearman .* differ, and all 32 are 2.5"),
        (nn.Linear(6, 1), torch.full((N,), 2.5), {"metric": "r2"}, "R² needs targets that differ"),
        (nn.Conv2d(3, 5, 1), torch.full((N, 8, 8), -1), {}, "mean IoU needs targets from 0, .* none counts"),
        (nn.Conv2d(3, 5, 1), torch.full((N, 8, 8), -1), {"metric": "pixel-accuracy"}, "pixel accuracy .* none counts"),
        (Tagger(), torch.full((N, 5), -1), {}, "perplexity needs targets from 0"),
        (Tagger(), torch.full((N, 5), -1), {"metric": "next-token-accuracy"}, "next-token .* none counts"),
    ],
)
def test_targets_that_tell_a_metric_nothing_are_refused_before_anything_is_measured(model, targets, options, told):
    inputs = {nn.Linear: X, nn.Conv2d: IMAGES, Tagger: TOKENS}[type(model)]
    with pytest.raises(WorkloadError, match=f"^the test examples: {told}.*; give others, or choose another metric$"):
        load(Workload(model, (inputs, targets), **options))
    targets = targets.clone()
    targets[0] = 1 - targets[0]
    load(Workload(model, (inputs, targets), **options))


def test_what_some_batches_tell_is_enough():
    def batches(*targets):
        pairs = [(X[:8], targets[0]), (X[:8, :4], targets[1])]
        return torch.utils.data.DataLoader(pairs, batch_size=None)

    class Sum(nn.Module):
        def forward(self, x):
            return x.sum(1)

    train = (X[:8], torch.arange(8) % 2)
    assert load(Workload(Sum(), batches(torch.zeros(8), torch.ones(8)), train=train)).task.metric.name == "auroc"
    with pytest.raises(WorkloadError, match="all 16 are 0"):
        load(Workload(Sum(), batches(torch.zeros(8), torch.zeros(8)), train=train))
