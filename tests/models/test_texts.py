"""Texts become the model's inputs by the tokenizer that lies beside it."""

from __future__ import annotations

import json

import numpy as np
import pandas
import pytest
import torch

pytest.importorskip("transformers", reason="needs the extra: pip install '.[transformers]'")

from tests.models import huggingface as saved
from tests.models.huggingface import CLASSES, OTHERS, TEXTS
from workbench.errors import WorkloadError
from workbench.models import load
from workbench.workload import Workload

FORMS = {
    "lists": lambda: (TEXTS, CLASSES),
    "an array": lambda: (np.array(TEXTS), CLASSES.numpy()),
    "columns of a table": lambda: (pandas.Series(TEXTS), pandas.Series(CLASSES.numpy())),
    "a dictionary": lambda: {"text": TEXTS, "label": CLASSES},
    "pairs of a text and its class": lambda: list(zip(TEXTS, CLASSES.tolist(), strict=True)),
    "a data set of dictionaries": lambda: [
        {"text": text, "label": label} for text, label in zip(TEXTS, CLASSES.tolist(), strict=True)
    ],
}


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return saved.bert(tmp_path_factory.mktemp("models") / "classifier")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return saved.sentence_encoder(tmp_path_factory.mktemp("models") / "encoder")


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_texts_gives_the_same_examples(classifier, form):
    loaded = load(Workload(classifier, FORMS[form]()))
    plain = load(Workload(classifier, (TEXTS, CLASSES)))
    assert loaded.key == plain.key
    assert loaded.task.metric.name == "accuracy"


def test_an_npz_of_texts_is_read(classifier, tmp_path):
    np.savez(tmp_path / "data.npz", inputs=np.array(TEXTS), targets=CLASSES.numpy())
    assert (
        load(Workload(classifier, str(tmp_path / "data.npz"))).key == load(Workload(classifier, FORMS["lists"]())).key
    )


def test_texts_are_padded_to_the_longest_and_the_notice_says_how_long_they_are(classifier):
    loaded = load(Workload(classifier, (TEXTS, CLASSES)))
    ids, mask, types = loaded.test.inputs
    assert ids.shape == mask.shape == types.shape == (48, 8)
    assert ids[0].tolist() == [2, 4, 8, 9, 11, 3, 0, 0]
    assert mask[0].tolist() == [1, 1, 1, 1, 1, 1, 0, 0]
    assert loaded.task.counted.unit == "tokens"
    assert "the texts became 4 to 8 tokens, padded to 8;" in loaded.note


def test_texts_to_measure_on_and_to_learn_from_are_of_one_length(classifier):
    loaded = load(Workload(classifier, (["not good"] * 5, [0] * 5), train=(["the cat sat"] * 3, [1] * 3)))
    assert loaded.test.inputs[0].shape == (5, 5)
    assert loaded.train.inputs[0].shape == (3, 5)


def test_longer_texts_are_cut_where_the_model_s_positions_end(classifier):
    loaded = load(Workload(classifier, (["the cat ran " * 20, *TEXTS[1:]], CLASSES)))
    assert loaded.test.inputs[0].shape[1] == saved.MOST_TOKENS
    assert "longer ones were cut at 16" in loaded.note


def test_a_classifier_reads_the_two_texts_of_a_pair_together(classifier):
    loaded = load(Workload(classifier, ((TEXTS, OTHERS), CLASSES)))
    ids, _, types = loaded.test.inputs
    assert ids.dim() == 2
    assert types[0].tolist() == [0] * 6 + [1] * 5 + [0] * (ids.shape[1] - 11)


@pytest.mark.parametrize("call", ["auto", "pairs"])
def test_a_sentence_encoder_embeds_each_text_of_a_pair(encoder, call):
    similar = torch.rand(len(TEXTS), generator=torch.Generator().manual_seed(0))
    loaded = load(Workload(encoder, ((TEXTS, OTHERS), similar), call=call))
    assert loaded.test.inputs[0].shape == (48, 2, 8)
    assert loaded.output_shape == (2, 32)
    assert loaded.task.metric.name == "spearman"
    single = load(Workload(encoder, TEXTS))
    with torch.no_grad():
        both, first = loaded.module(*loaded.example(4)), single.module(*single.example(4))
    assert torch.allclose(both[:, 0], first, atol=1e-6)


def test_what_was_tokenized_can_be_read_again(classifier, tmp_path):
    loaded = load(Workload(classifier, (TEXTS, CLASSES)))
    assert TEXTS[0] in loaded.decode(loaded.test.inputs[0][0])
    assert "[PAD]" not in loaded.decode(loaded.test.inputs[0][0])
    causal = load(Workload(saved.gpt2(tmp_path / "causal"), TEXTS))
    assert causal.decode(causal.test.inputs[0][0]) == TEXTS[0]


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_causal_model_is_judged_by_the_tokens_that_follow(tmp_path, side):
    folder = saved.gpt2(tmp_path / "gpt2")
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"padding_side": side}))
    loaded = load(Workload(folder, TEXTS))
    assert loaded.task.metric.name == "perplexity"
    for tokens, mask, targets in zip(*loaded.test.inputs, loaded.test.targets, strict=True):
        assert mask[0 if side == "right" else -1] == 1
        assert targets[targets >= 0].tolist() == tokens[mask == 1][1:].tolist()


def test_own_targets_take_the_place_of_tokens_that_follow(tmp_path):
    loaded = load(Workload(saved.gpt2(tmp_path / "gpt2"), (TEXTS, torch.zeros(60, 6, dtype=torch.long))))
    assert not loaded.test.targets.any()


@pytest.mark.parametrize("data", [(TEXTS, CLASSES), TEXTS, {"text": TEXTS}, FORMS["an array"]()])
def test_texts_without_a_tokenizer_are_refused_with_the_remedy(data):
    told = "data holds text and the model brings no tokenizer; give the folder that both were saved in"
    with pytest.raises(WorkloadError, match=told) as caught:
        load(Workload(torch.nn.Linear(6, 3), data))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "options", "told"),
    [
        ((TEXTS, CLASSES), {"train": ((TEXTS, OTHERS), CLASSES)}, "holds single texts, the other pairs"),
        (((TEXTS, OTHERS[1:]), CLASSES), {}, "holds 60 and 59 texts; give one text of each example, or two"),
        ((TEXTS, CLASSES[1:]), {}, "holds 60 inputs and 59 targets"),
        ((TEXTS, CLASSES), {"call": "pairs"}, r"call='pairs' needs named inputs of shape \[N, 2, …\]"),
    ],
)
def test_texts_that_do_not_fit_are_one_clear_line(classifier, data, options, told):
    with pytest.raises(WorkloadError, match=told) as caught:
        load(Workload(classifier, data, **options))
    assert "\n" not in str(caught.value)
