"""A folder's tokenizer: from texts to the inputs that its model takes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from workbench.errors import WorkloadError
from workbench.models._keywords import keywords
from workbench.models.loaders._base import Tokenizer
from workbench.models.loaders.huggingface import sentences
from workbench.plumbing.words import one_line

if TYPE_CHECKING:
    import transformers

FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model")
"""What holds a tokenizer's words."""

_NO_TARGET = -100


class FolderTokenizer(Tokenizer):
    """Pads texts to the longest one and cuts them at the most tokens that the model takes."""

    def __init__(self, folder: Path, module: torch.nn.Module) -> None:
        self._folder = folder
        self.embeds = isinstance(module, sentences.SentenceEncoder)
        self._transformer = module.transformer if self.embeds else module

    def __call__(self, columns: Sequence[list[str]], *, apart: bool) -> tuple[dict[str, torch.Tensor], str]:
        tokenizer = self._read
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token  # masked, so any will do
        most = self._most_tokens(tokenizer.model_max_length)
        texts = [list(chain(*columns))] if apart else columns
        made = tokenizer(*texts, padding=True, truncation=most is not None, max_length=most, return_tensors="pt")
        taken = keywords(self._transformer)
        inputs = {name: made[name] for name in tokenizer.model_input_names if name in taken}
        lengths = made["attention_mask"].sum(1)
        if self._predicts_next_tokens():
            inputs["targets"] = _next(made["input_ids"], made["attention_mask"])
        if apart:
            inputs = {name: torch.stack(tensor.chunk(len(columns)), dim=1) for name, tensor in inputs.items()}
        return inputs, _in_words(int(lengths.min()), int(lengths.max()), most)

    def text(self, tokens: torch.Tensor) -> str:
        return self._read.decode(tokens, skip_special_tokens=True)

    @cached_property
    def _read(self) -> transformers.PreTrainedTokenizerBase:
        import transformers

        try:
            return transformers.AutoTokenizer.from_pretrained(
                self._folder, local_files_only=True, trust_remote_code=False
            )
        except Exception as error:  # the reader raises many unrelated kinds
            raise WorkloadError(f"the tokenizer in {self._folder} can't be read: {one_line(error)}") from error

    def _most_tokens(self, tokenizer_s: int) -> int | None:
        """The most tokens that tokenizer (an immense number where it doesn't know) and model take."""
        limits = [tokenizer_s, _positions(self._transformer), sentences.most_tokens(self._folder)]
        return min((limit for limit in limits if limit is not None and limit < 2**31), default=None)

    def _predicts_next_tokens(self) -> bool:
        return self._transformer.can_generate() and not self._transformer.config.is_encoder_decoder


def _positions(transformer: torch.nn.Module) -> int | None:
    """How many tokens there are positions for; ``None`` where they aren't learnt."""
    for name, part in transformer.named_modules():
        if name.endswith("position_embeddings") and isinstance(part, torch.nn.Embedding):
            return part.num_embeddings - (0 if part.padding_idx is None else part.padding_idx + 1)  # counted from there
    return getattr(transformer.config, "max_position_embeddings", None)


def _next(tokens: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """For each token of [N, tokens] that is kept the one that follows it, where that is kept too."""
    follow = tokens.masked_fill(kept == 0, _NO_TARGET).roll(-1, 1)
    follow[:, -1] = _NO_TARGET
    return follow.masked_fill(kept == 0, _NO_TARGET)


def _in_words(shortest: int, longest: int, most: int | None) -> str:
    varied = f"{shortest} to {longest} tokens, padded to {longest}"
    lengths = f"{longest} tokens each" if shortest == longest else varied
    return f"the texts became {lengths}" + (f"; longer ones were cut at {most}" if longest == most else "")
