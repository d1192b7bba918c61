"""Sentence encoders: what sentence-transformers puts behind a transformer, and notes in modules.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from workbench.errors import WorkloadError, unknown
from workbench.plumbing.words import one_line

_POOLINGS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "mean": lambda features, kept: (features * kept).sum(1) / kept.sum(1).clamp(min=1e-9),
    "max": lambda features, kept: features.masked_fill(kept == 0, -torch.inf).amax(1),
    "cls": lambda features, kept: features[:, 0],
}
"""From features [N, tokens, width] and which tokens count [N, tokens, 1] to [N, width]."""


class SentenceEncoder(torch.nn.Module):
    """One vector [N, width] for each text, from the features of its tokens."""

    def __init__(self, transformer: torch.nn.Module, pooling: str, *, unit_length: bool) -> None:
        super().__init__()
        self.transformer = transformer
        self.pooling = pooling
        self.unit_length = unit_length

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
    ) -> torch.Tensor:
        """All [N, tokens] → [N, width]."""
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        features = self.transformer(input_ids=input_ids, attention_mask=attention_mask, **types).last_hidden_state
        pooled = _POOLINGS[self.pooling](features, attention_mask.unsqueeze(-1).to(features.dtype))
        return torch.nn.functional.normalize(pooled, dim=1) if self.unit_length else pooled


def listed(folder: Path) -> bool:
    """Whether the folder says what belongs behind its transformer."""
    return (folder / "modules.json").is_file()


def most_tokens(folder: Path) -> int | None:
    """How many tokens of a text are read, where sentence_bert_config.json says so."""
    told = folder / "sentence_bert_config.json"
    return json.loads(told.read_text()).get("max_seq_length") if told.is_file() else None


def encoder(transformer: torch.nn.Module, folder: Path) -> torch.nn.Module:
    """The transformer with what ``folder``'s modules.json puts behind it; alone where there is none.

    Raises
    ------
    WorkloadError
        It puts anything else there than pooling, and the length brought to one.
    """
    if not listed(folder):
        return transformer
    try:
        modules = json.loads((folder / "modules.json").read_text())
        kinds = [module["type"].rpartition(".")[2] for module in modules]
        told = json.loads((folder / modules[1]["path"] / "config.json").read_text()) if "Pooling" in kinds[1:2] else {}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise WorkloadError(f"what modules.json of {folder} tells of can't be read: {one_line(error)}") from None
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise WorkloadError(
            f"{folder / 'modules.json'} lists {', '.join(kinds)}, and Transformer, Pooling and Normalize alone are "
            "read; give the model as an nn.Module"
        )
    asked = _poolings(told)
    if len(asked) != 1 or asked[0] not in _POOLINGS:
        raise WorkloadError(f"{folder}: {unknown('pooling', ' and '.join(asked), _POOLINGS)}")
    return SentenceEncoder(transformer, asked[0], unit_length="Normalize" in kinds)


def _poolings(told: dict[str, Any]) -> list[str]:
    """What their names are: of one entry, or as older versions write it, of a yes or no for each."""
    if "pooling_mode" in told:
        asked = told["pooling_mode"]
        return [asked] if isinstance(asked, str) else list(asked)
    asked = [name.removeprefix("pooling_mode_") for name, value in told.items() if value is True]
    return [name.removesuffix("s").removesuffix("_token") for name in asked if name != "include_prompt"]
