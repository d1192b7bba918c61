"""Folders of transformers, and texts, on the engines and through the worker."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("transformers", reason="needs the extra: pip install '.[transformers]'")

import workbench as wb
from tests.models import huggingface as saved
from tests.models.huggingface import CLASSES, OTHERS, TEXTS
from workbench import models
from workbench.recipe import Recipe
from workbench.session import RunFailed

EAGER = Recipe.parse(place={"engine": "eager", "threads": 1})
IMAGES = torch.rand(60, 3, 16, 16, generator=torch.Generator().manual_seed(0))
SIMILAR = torch.rand(60, generator=torch.Generator().manual_seed(0))
WORKLOADS = {
    "BERT": (saved.bert, (TEXTS, CLASSES)),
    "GPT-2": (saved.gpt2, TEXTS),
    "ViT": (saved.vit, (IMAGES, CLASSES)),
    "ResNet": (saved.resnet, (IMAGES, CLASSES)),
    "sentence encoder": (saved.sentence_encoder, ((TEXTS, OTHERS), SIMILAR)),
}
ENGINES = [
    ("BERT", "openvino"),
    ("BERT", "native"),
    ("GPT-2", "onnxruntime"),
    ("GPT-2", "native"),
    ("ViT", "native"),
    ("ResNet", "native"),
    ("sentence encoder", "onnxruntime"),
    ("sentence encoder", "native"),
]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {name: models.load(wb.Workload(save(folder / name), data)) for name, (save, data) in WORKLOADS.items()}


@pytest.mark.usefixtures("every_layer_in_int8")
@pytest.mark.parametrize(("name", "engine"), ENGINES)
def test_a_folder_s_model_runs_in_int8(loaded, name, engine):
    workload = loaded[name]
    recipe = {"steps": [{"do": "quantize"}], "place": {"engine": engine, "threads": 1}}
    runner = wb.prepare(workload.module, workload.example(4), recipe, calibration=(workload.train.inputs, None))
    expected = workload.module(*workload.example(7)).detach()
    assert (runner(*workload.example(7)) - expected).norm() < 0.2 * expected.norm()
    multiplied = [row for row in runner.receipt if row.compute_dtype == "int8"]
    assert len(multiplied) > 1
    assert {row.reality for row in multiplied} == {"real"}


def test_a_causal_model_of_tokens_alone_is_one_native_program(tmp_path):
    tokens = torch.randint(len(saved.WORDS), (20, 7), generator=torch.Generator().manual_seed(0))
    workload = models.load(wb.Workload(saved.gpt2(tmp_path / "gpt2"), tokens))
    runner = wb.prepare(workload.module, workload.example(4), {"place": {"engine": "native", "threads": 1}})
    assert not [row.layer for row in runner.receipt if row.kernel and "PyTorch" in row.kernel]
    for batch in (1, 4, 7):
        expected = workload.module(*workload.example(batch)).detach()
        # Each product of n ≤ 128 terms errs by about ε · √n and each norm keeps that relative size; twelve of them.
        bound = 12 * 128**0.5 * torch.finfo(torch.float32).eps
        assert (runner(*workload.example(batch)) - expected).norm() <= bound * expected.norm()


def test_a_folder_and_its_texts_go_through_the_worker_and_the_notice_says_what_became_of_them(session, tmp_path):
    workload = wb.Workload(saved.bert(tmp_path / "bert"), (TEXTS, CLASSES))
    result = session.start(workload, EAGER, baseline="eager").result()
    assert (result.workload, result.variant.quality.metric) == ("bert", "accuracy")
    assert "the texts became 4 to 8 tokens, padded to 8" in " ".join(result.notices)


def test_texts_for_a_plain_module_fail_before_anything_is_measured(session):
    with pytest.raises(RunFailed, match="data holds text and the model brings no tokenizer"):
        session.start(wb.Workload(torch.nn.Linear(6, 3), (TEXTS, CLASSES)), EAGER).result()
