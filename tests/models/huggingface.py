"""Small models with random weights, saved as transformers saves them, with a real tokenizer of a few words."""

from __future__ import annotations

import json
from pathlib import Path

import tokenizers
import torch
import transformers

WORDS = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "a", "cat", "dog", "film", "was", "is", "good", "bad", "very", "not",
    "ran", "sat", "on", "mat",
]  # fmt: skip
WIDTHS = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
MOST_TOKENS = 16
TEXTS = ["the film was good", "a very bad film", "the cat sat on the mat", "not good", "the dog ran"] * 12
OTHERS = [*TEXTS[1:], TEXTS[0]]
CLASSES = torch.arange(len(TEXTS)) % 3


def tokenizer(*, marks_texts: bool) -> transformers.PreTrainedTokenizerFast:
    """Of whole words; ``marks_texts``: with a token before and after each, as BERT reads them."""
    made = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    if marks_texts:
        made.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        unk_token="[UNK]",
        eos_token="[SEP]",
        pad_token="[PAD]" if marks_texts else None,  # GPT-2 has none
        model_input_names=["input_ids", "attention_mask", *(["token_type_ids"] if marks_texts else [])],
    )


def saved(kind: str, folder: Path, *, marks_texts: bool | None = None, **settings: object) -> Path:
    """A model of this class of transformers, and its tokenizer where ``marks_texts`` says of which kind."""
    model_class = getattr(transformers, kind)
    torch.manual_seed(0)
    model = model_class(model_class.config_class(**settings))
    model.save_pretrained(folder)
    if marks_texts is not None:
        tokenizer(marks_texts=marks_texts).save_pretrained(folder)
    return folder


def bert(folder: Path, kind: str = "BertForSequenceClassification") -> Path:
    settings = WIDTHS | {"vocab_size": len(WORDS), "max_position_embeddings": MOST_TOKENS, "num_labels": 3}
    return saved(kind, folder, marks_texts=True, **settings)


def gpt2(folder: Path) -> Path:
    settings = {"vocab_size": len(WORDS), "n_positions": MOST_TOKENS, "n_embd": 32, "n_layer": 2, "n_head": 2}
    return saved("GPT2LMHeadModel", folder, marks_texts=False, **settings)


def vit(folder: Path) -> Path:
    settings = WIDTHS | {"image_size": 16, "patch_size": 8, "num_labels": 3}
    return saved("ViTForImageClassification", folder, **settings)


def resnet(folder: Path) -> Path:
    settings = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic", "num_labels": 3}
    return saved("ResNetForImageClassification", folder, **settings)


def sentence_encoder(folder: Path, **pooling: object) -> Path:
    """As sentence-transformers saves it: the mean of the tokens' features, brought to length one."""
    bert(folder, "BertModel")
    parts = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in parts.items()]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling or {"pooling_mode_mean_tokens": True}))
    return folder
