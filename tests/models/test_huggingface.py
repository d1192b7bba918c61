"""Folders of transformers and sentence-transformers are read without fetching, unpickling or running anything."""

from __future__ import annotations

import json

import pytest
import torch

transformers = pytest.importorskip("transformers", reason="needs the extra: pip install '.[transformers]'")

from tests.models import huggingface as saved  # noqa: E402
from workbench.errors import WorkloadError  # noqa: E402
from workbench.models import load, loaders  # noqa: E402
from workbench.workload import Workload  # noqa: E402

IMAGES = torch.rand(20, 3, 16, 16, generator=torch.Generator().manual_seed(0))
TOKENS = torch.randint(len(saved.WORDS), (20, 7), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("save", "inputs", "shape"),
    [
        (saved.bert, {"input_ids": TOKENS, "attention_mask": torch.ones_like(TOKENS)}, (3,)),
        (saved.gpt2, TOKENS, (7, len(saved.WORDS))),
        (saved.vit, IMAGES, (3,)),
        (saved.resnet, IMAGES, (3,)),
        (saved.sentence_encoder, {"input_ids": TOKENS, "attention_mask": torch.ones_like(TOKENS)}, (32,)),
    ],
    ids=["BERT", "GPT-2", "ViT", "ResNet", "sentence encoder"],
)
def test_a_folder_is_a_model_that_computes_what_was_saved(tmp_path, save, inputs, shape):
    folder = save(tmp_path / "model-v1.5")
    loaded = load(Workload(str(folder), inputs))
    assert (loaded.name, loaded.output_shape) == ("model-v1.5", shape)
    if shape == (32,):
        return
    config = json.loads((folder / "config.json").read_text())
    model = getattr(transformers, config["architectures"][0]).from_pretrained(folder).eval()
    named = inputs if isinstance(inputs, dict) else {model.main_input_name: inputs}
    with torch.no_grad():
        expected = model(**{name: tensor[:4] for name, tensor in named.items()}).logits
        assert torch.allclose(loaded.module(*(tensor[:4] for tensor in named.values())), expected, atol=1e-6)


def test_a_model_given_in_python_has_torch_s_own_layers_and_stays_as_it_was(tmp_path):
    given = transformers.GPT2LMHeadModel.from_pretrained(saved.gpt2(tmp_path)).eval()
    module = load(Workload(given, TOKENS)).module
    kinds = {name.rpartition(".")[2]: type(part) for name, part in module.named_modules()}
    assert (kinds["c_attn"], kinds["c_fc"], kinds["c_proj"], kinds["act"]) == (*[torch.nn.Linear] * 3, torch.nn.GELU)
    with torch.no_grad():
        assert torch.allclose(module(TOKENS), given(TOKENS).logits, atol=1e-6)
    assert module.get_input_embeddings().weight is module.get_output_embeddings().weight
    assert type(given.transformer.h[0].mlp.c_fc) is transformers.pytorch_utils.Conv1D
    assert given.config.use_cache


def test_weights_in_several_files_are_read(tmp_path):
    folder = saved.bert(tmp_path / "whole")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    model.save_pretrained(tmp_path / "parts", max_shard_size="20KB")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    one, other = (load(Workload(tmp_path / name, {"input_ids": TOKENS})) for name in ("whole", "parts"))
    assert one.key == other.key


def change(folder, **settings) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= settings
    (folder / "config.json").write_text(json.dumps({name: each for name, each in config.items() if each is not None}))


def without_weights(folder) -> None:
    (folder / "model.safetensors").unlink()


def with_pickled_weights(folder) -> None:
    without_weights(folder)
    torch.save({}, folder / "pytorch_model.bin")


BROKEN = {
    "no config.json": (lambda folder: (folder / "config.json").unlink(), r"is no model; give .*config\.json"),
    "a config.json of another kind": (lambda folder: change(folder, model_type=None), "names no model_type"),
    "a config.json that is none": (lambda folder: (folder / "config.json").write_text("{"), "names no model_type"),
    "code of its own": (
        lambda folder: change(folder, auto_map={"AutoModel": "modeling.Own"}),
        r"code of its own \(auto_map\), which isn't run here",
    ),
    "kernels of a hub": (
        lambda folder: change(folder, attn_implementation="some/kernel"),
        r"code of its own \(attn_implementation\), which isn't run here",
    ),
    "an unknown type": (lambda folder: change(folder, model_type="berd"), "knows no models of type 'berd'"),
    "an unknown class": (lambda folder: change(folder, architectures=["BertForPoetry"]), "no model 'BertForPoetry'"),
    "no model's class": (lambda folder: change(folder, architectures=["BertConfig"]), "has no model 'BertConfig'"),
    "no weights": (without_weights, r"holds no weights"),
    "pickled weights": (with_pickled_weights, r"pickled weights alone.* save_pretrained, which writes safetensors"),
    "weights that are cut off": (
        lambda folder: (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:99]),
        "can't be read",
    ),
    "weights of another shape": (lambda folder: change(folder, hidden_size=16), "lacks .* that config.json tells of"),
    "a layer too few": (
        lambda folder: change(folder, num_hidden_layers=3),
        r"lacks .*layer\.2\..* that config.json tells of",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_folder_that_can_not_be_read_is_answered_in_one_line(tmp_path, case):
    folder = saved.bert(tmp_path / "bert")
    breaks, told = BROKEN[case]
    breaks(folder)
    with pytest.raises(WorkloadError, match=told) as caught:
        load(Workload(str(folder), {"input_ids": TOKENS}))
    assert "\n" not in str(caught.value)


def test_without_the_package_the_line_says_what_to_install(tmp_path, monkeypatch):
    folder = saved.bert(tmp_path / "bert")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(WorkloadError, match=r"needs transformers; pip install 'model-workbench\[transformers\]'"):
        loaders.find(folder).read(folder)


@pytest.mark.parametrize("pooling", [{"pooling_mode_mean_tokens": True}, {"pooling_mode": "mean"}], ids=str)
def test_a_sentence_encoder_gives_the_mean_of_what_is_no_padding_at_length_one(tmp_path, pooling):
    folder = saved.sentence_encoder(tmp_path / "encoder", **pooling, include_prompt=True)
    mask = (torch.arange(7) < torch.arange(20).remainder(7).add(1)[:, None]).long()
    loaded = load(Workload(folder, {"input_ids": TOKENS, "attention_mask": mask}))
    with torch.no_grad():
        features = transformers.BertModel.from_pretrained(folder)(TOKENS[:6], mask[:6]).last_hidden_state
        found = loaded.module(TOKENS[:6], mask[:6])
    means = torch.stack([each[kept.bool()].mean(0) for each, kept in zip(features, mask[:6], strict=True)])
    assert torch.allclose(found, means / means.norm(dim=1, keepdim=True), atol=1e-6)


@pytest.mark.parametrize(
    ("pooling", "told"),
    [
        ({"pooling_mode_lasttoken": True}, "pooling 'lasttoken' is not known; one of cls, max, mean"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, "pooling 'mean and max' is not known"),
        ({"pooling_mode": ["mean", "cls"]}, "pooling 'mean and cls' is not known"),
    ],
)
def test_a_pooling_that_is_not_known_is_named(tmp_path, pooling, told):
    folder = saved.sentence_encoder(tmp_path / "encoder", **pooling)
    with pytest.raises(WorkloadError, match=told):
        load(Workload(folder, {"input_ids": TOKENS, "attention_mask": torch.ones_like(TOKENS)}))
