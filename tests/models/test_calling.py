"""Models of any signature are called with their tensors one by one and give the one that counts."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from workbench.errors import WorkloadError
from workbench.models import load
from workbench.tasks import Counted
from workbench.workload import Workload

N = 40
X, Y = torch.randn(N, 6, generator=torch.Generator().manual_seed(0)), torch.arange(N) % 3
TOKENS = torch.arange(N * 5).reshape(N, 5) % 11
IMAGES = torch.rand(N, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@dataclass
class Scored:
    loss: None
    logits: torch.Tensor
    hidden: torch.Tensor


class Model(nn.Module):
    """Gives its scores in the form that ``wrap`` makes of them and of the hidden features."""

    def __init__(self, wrap=lambda scores, hidden: scores):
        super().__init__()
        self.body, self.head = nn.Linear(6, 8), nn.Linear(8, 3)
        self.wrap = wrap

    def forward(self, x):
        hidden = self.body(x).relu()
        return self.wrap(self.head(hidden), hidden)


class Images(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(11, 8), nn.Linear(8, 3)

    def forward(self, input_ids, attention_mask=None):
        features = self.embedding(input_ids)
        if attention_mask is not None:
            features = features * attention_mask.unsqueeze(-1)
        return {"pooled": features.mean(1), "logits": self.head(features.mean(1))}


@pytest.mark.parametrize(
    ("wrap", "output"),
    [
        (lambda scores, hidden: (scores, hidden), "auto"),
        (lambda scores, hidden: [scores, hidden], "auto"),
        (lambda scores, hidden: {"hidden": hidden, "logits": scores}, "auto"),
        (lambda scores, hidden: {"scores": scores, "hidden": hidden}, "auto"),
        (lambda scores, hidden: Scored(None, scores, hidden), "auto"),
        (lambda scores, hidden: (hidden, scores), 1),
        (lambda scores, hidden: {"hidden": hidden, "scores": scores}, "scores"),
        (lambda scores, hidden: Scored(None, hidden, scores), "hidden"),
        (lambda scores, hidden: (hidden, scores), lambda outputs: outputs[1] * 1.0),
    ],
)
def test_the_tensor_that_counts_is_taken_from_any_output(wrap, output):
    model = Model(wrap).eval()
    loaded = load(Workload(model, (X, Y), output=output))
    plain = copy.deepcopy(model)
    plain.wrap = lambda scores, hidden: scores
    assert torch.allclose(loaded.module(X[:4]), plain(X[:4]))
    assert loaded.output_shape == (3,)


def test_layers_and_weights_keep_their_names_and_copies_their_forward():
    model = Model(lambda scores, hidden: (scores, hidden)).eval()
    loaded = load(Workload(model, (X, Y)))
    for module in (loaded.module, copy.deepcopy(loaded.module)):
        assert list(module.state_dict()) == list(model.state_dict())
        assert type(module).__name__ == "Model"
        assert module(X[:4]).shape == (4, 3)
    assert isinstance(model(X[:4]), tuple), "the given model stays"


def test_a_copy_computes_with_its_own_weights():
    for model in (Model(lambda scores, hidden: (scores, hidden)), torch.fx.symbolic_trace(Pair())):
        loaded = load(Workload(model.eval(), (X, Y)))
        twin = copy.deepcopy(loaded.module)
        with torch.no_grad():
            for weight in twin.parameters():
                weight.zero_()
        assert not twin(X[:4]).any()
        assert loaded.module(X[:4]).any()


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return self.head(x), x


def test_a_dictionary_is_passed_by_keywords_whatever_its_order():
    mask = torch.ones(N, 5)
    data = {"attention_mask": mask, "input_ids": TOKENS, "labels": Y}
    loaded = load(Workload(Words().eval(), data))
    assert [each.dtype for each in loaded.test.inputs] == [torch.float32, torch.int64]
    assert loaded.module(mask[:2], TOKENS[:2]).shape == (2, 3)
    assert loaded.task.metric.name == "accuracy"


def test_several_inputs_are_passed_by_position():
    loaded = load(Workload(Words().eval(), ((TOKENS, torch.ones(N, 5)), Y)))
    assert loaded.module(TOKENS[:2], torch.ones(2, 5)).shape == (2, 3)


def test_an_adapted_model_can_be_exported_with_a_free_batch():
    loaded = load(Workload(Words().eval(), {"input_ids": TOKENS, "attention_mask": torch.ones(N, 5), "labels": Y}))
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(
        loaded.module, (TOKENS[:2], torch.ones(2, 5)), dynamic_shapes=({0: batch}, {0: batch})
    )
    found = program.module()(TOKENS[:7], torch.ones(7, 5))
    assert torch.allclose(found, loaded.module(TOKENS[:7], torch.ones(7, 5)), atol=1e-6)


def test_a_key_that_forward_does_not_take_is_named_with_the_nearest():
    with pytest.raises(WorkloadError, match=r"forward of Words doesn't take 'input_id': .* did you mean input_ids"):
        load(Workload(Words(), {"input_id": TOKENS, "labels": Y}))


def pooled(tokens, scale=1.0):
    return tokens.float() * scale


class HandsOn(nn.Module):
    """Takes whatever it is given and hands it on to ``further``."""

    def __init__(self, further):
        super().__init__()
        self.words, self.further = Words(), further

    def forward(self, **kwargs):
        return self.further(self, **kwargs)


@pytest.mark.parametrize(
    ("further", "key", "told"),
    [
        (
            lambda model, **given: model.words(**given),
            "input_id",
            " hands 'input_id' on to Words.forward, which doesn't take it: .* did you mean input_ids",
        ),
        (
            lambda model, **given: pooled(**given),
            "token",
            " hands 'token' on to pooled, which doesn't take it: .* did you mean tokens",
        ),
        (
            lambda model, **given: model.words(given["input_ids"]),
            "input_id",
            ", given input_id, looks for a key 'input_ids' that isn't there; if it is one of the inputs, call it so",
        ),
    ],
    ids=["to a layer", "to a function", "by its key"],
)
def test_a_key_that_is_not_taken_further_in_is_named_too(further, key, told):
    with pytest.raises(WorkloadError, match=rf"^forward of HandsOn{told}"):
        load(Workload(HandsOn(further), {key: TOKENS, "labels": Y}))


def test_a_key_that_is_nearly_one_and_does_nothing_is_named():
    class Lenient(Words):
        def forward(self, input_ids, attention_mask=None, **unused):
            return super().forward(input_ids, attention_mask)

    data = {"input_ids": TOKENS, "attention_maks": torch.ones(N, 5), "labels": Y}
    with pytest.raises(WorkloadError, match="does nothing with the input 'attention_maks'; did you mean attention_mas"):
        load(Workload(Lenient(), data))


def test_keys_that_are_taken_further_in_are_passed():
    model = HandsOn(lambda model, **given: model.words(**given)).eval()
    loaded = load(Workload(model, {"input_ids": TOKENS, "labels": Y}))
    assert torch.allclose(loaded.module(TOKENS[:4]), model.words(TOKENS[:4])["logits"])


def test_pairs_are_embedded_one_after_the_other_in_one_batch():
    model = Model().eval()
    similarity = torch.rand(N)
    loaded = load(Workload(model, ((X, X.flip(0)), similarity), call="pairs", metric="spearman"))
    found = loaded.module(X[:4], X.flip(0)[:4])
    assert found.shape == (4, 2, 3)
    assert torch.allclose(found[:, 1], model(X.flip(0)[:4]), atol=1e-6)


@pytest.mark.parametrize(
    ("model", "inputs", "targets", "metric", "loss"),
    [
        (Model, X, torch.rand(N), "spearman", "correlation"),
        (Model, X, torch.arange(N) % 2, "spearman", "correlation"),
        (Model, X, None, "relative-error", "mse"),
        (Images, IMAGES, torch.rand(N), "spearman", "correlation"),
        (Images, IMAGES, torch.arange(N) % 2 > 0, "spearman", "correlation"),
        (lambda: nn.EmbeddingBag(11, 8), TOKENS, torch.rand(N), "spearman", "correlation"),
    ],
)
def test_pairs_of_anything_are_judged_by_how_alike_they_are(model, inputs, targets, metric, loss):
    loaded = load(Workload(model(), ((inputs, inputs.flip(0)), targets), call="pairs"))
    assert (loaded.task.metric.name, loaded.task.loss.name) == (metric, loss)
    assert loaded.task.counted == Counted("pairs")


def test_of_pairs_of_single_numbers_nothing_tells_how_alike_they_are():
    with pytest.raises(WorkloadError, match=r"no metric fits outputs of shape \[2, 2, 1\]"):
        load(Workload(nn.Linear(6, 1), ((X, X.flip(0)), torch.rand(N)), call="pairs"))


@pytest.mark.parametrize(
    ("model", "inputs", "told"),
    [
        (Model, (X, X), "Model takes 1 input and the data have 2; where it embeds each of a pair, give call='pairs'"),
        (Words, (TOKENS, TOKENS, X), "Words takes 2 inputs and the data have 3; give as many"),
    ],
)
def test_more_inputs_than_forward_takes_are_told_with_what_may_be_meant(model, inputs, told):
    with pytest.raises(WorkloadError, match=f"^forward of {told}$"):
        load(Workload(model(), (inputs, Y)))


def test_both_halves_of_named_inputs_are_embedded_in_one_batch():
    model = Words().eval()
    both, mask = torch.stack([TOKENS, TOKENS.flip(0)], dim=1), torch.ones(N, 2, 5)
    data = {"input_ids": both, "attention_mask": mask, "targets": torch.rand(N)}
    loaded = load(Workload(model, data, call="pairs", metric="spearman"))
    batch = torch.export.Dim("batch")
    shapes = ({0: batch}, {0: batch})
    program = torch.export.export(loaded.module, (both[:2], mask[:2]), dynamic_shapes=shapes).module()
    for module in (loaded.module, program):
        found = module(both[:4], mask[:4])
        assert torch.allclose(found[:, 0], model(TOKENS[:4], mask[:4, 0])["logits"], atol=1e-6)
        assert torch.allclose(found[:, 1], model(TOKENS.flip(0)[:4], mask[:4, 1])["logits"], atol=1e-6)


@pytest.mark.parametrize(
    ("call", "data", "told"),
    [
        ("pairs", (X, Y), "call='pairs' needs 2 inputs and the data have 1"),
        ("keywords", (X, Y), "give a dictionary"),
        ("positonal", (X, Y), "did you mean positional"),
    ],
)
def test_a_call_that_the_data_do_not_allow_is_refused(call, data, told):
    with pytest.raises(WorkloadError, match=told):
        load(Workload(Model(), data, call=call))


def test_an_output_without_a_tensor_asks_for_which_counts():
    with pytest.raises(WorkloadError, match=r"returns dict .* give output="):
        load(Workload(Model(lambda scores, hidden: {"text": "none"}), (X, Y)))


def test_an_output_that_is_not_there_is_one_line():
    with pytest.raises(WorkloadError, match=r"the model fails on inputs .*'logit'"):
        load(Workload(Model(lambda scores, hidden: {"scores": scores}), (X, Y), output="logit"))


def saved_as_pt2(module, inputs, path):
    batch = torch.export.Dim("batch")
    program = torch.export.export(module, inputs, dynamic_shapes=tuple({0: batch} for _ in inputs))
    torch.export.save(program, path)


def saved_as_onnx(module, inputs, path):
    axes = {f"in_{index}": {0: "batch"} for index in range(len(inputs))}
    outputs = module(*inputs)
    names = list(outputs) if isinstance(outputs, dict) else None
    torch.onnx.export(
        module, inputs, path, dynamo=False, input_names=list(axes), output_names=names, dynamic_axes=axes, verbose=False
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("suffix", "save"), [(".pt2", saved_as_pt2), (".onnx", saved_as_onnx)])
def test_inputs_and_outputs_of_a_file_have_the_names_that_it_gives_them(tmp_path, suffix, save):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(6, 3)

        def forward(self, in_0, in_1):
            return {"hidden": in_0 - in_1, "logits": self.head(in_0 * in_1)}

    module, path = Two().eval(), tmp_path / f"model{suffix}"
    save(module, (X[:2], 2 * X[:2]), path)
    loaded = load(Workload(path, ({"in_1": 2 * X, "in_0": X}, Y)))
    assert torch.allclose(loaded.module(2 * X, X), module(X, 2 * X)["logits"], atol=1e-5)
    hidden = load(Workload(path, ((X, 2 * X), None), output="hidden"))
    assert torch.allclose(hidden.module(X, 2 * X), -X, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("suffix", "save"), [(".pt2", saved_as_pt2), (".onnx", saved_as_onnx)])
def test_a_file_of_several_inputs_and_outputs_is_a_workload(tmp_path, suffix, save):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.head = nn.Embedding(11, 6), nn.Linear(6, 3)

        def forward(self, tokens, x):
            hidden = self.embedding(tokens).mean(1) + x
            return self.head(hidden), hidden

    module, path = Two().eval(), tmp_path / f"model{suffix}"
    save(module, (TOKENS[:2], X[:2]), path)
    loaded = load(Workload(path, ((TOKENS, X), Y)))
    assert torch.allclose(loaded.module(TOKENS[:5], X[:5]), module(TOKENS[:5], X[:5])[0], atol=1e-5)
    assert loaded.output_shape == (3,)
    assert load(Workload(path, ((TOKENS, X), None), output=1)).output_shape == (6,)
