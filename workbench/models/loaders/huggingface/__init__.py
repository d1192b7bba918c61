"""A folder as ``save_pretrained`` of transformers writes it, also one of sentence-transformers."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

import torch

from workbench.errors import WorkloadError
from workbench.machine.memory import COPIES_OF_MODEL, refuse_beyond_memory
from workbench.models.loaders._base import Loader, Tokenizer
from workbench.models.loaders.huggingface import sentences, tokens
from workbench.plumbing.words import one_line

_OWN_CODE = re.compile(r'"auto_map"\s*:|"\w*implementation\w*"\s*:\s*"[^"]*/')
"""Where config.json asks for Python files of the folder's, or for kernels of a hub."""

_GIVE_THE_MODEL = "load it where you trust it and give the nn.Module"


class HuggingFace(Loader):
    """Models that transformers has a class for. Nothing is fetched, unpickled or run that the folder brings."""

    title = "a Hugging Face folder (config.json and *.safetensors)"
    libraries = ("transformers", "tokenizers")

    def reads(self, path: Path) -> bool:
        return (path / "config.json").is_file()

    def read(self, path: Path) -> torch.nn.Module:
        """The model of the class that config.json names, which takes its tensors by name or in forward's order.

        Raises
        ------
        WorkloadError
            If transformers is missing, config.json can't be read or asks for code of the folder's own, there is no such
            class, or its weights aren't stored as safetensors, are too large for memory, or not all there.
        """
        config = _config(path)
        _require_weights(path)
        if importlib.util.find_spec("transformers") is None:
            raise WorkloadError(f"reading {path} needs transformers; pip install 'model-workbench[transformers]'")
        import transformers

        kind = _kind(config, path, plain=sentences.listed(path))
        try:
            module, told = kind.from_pretrained(
                path,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # told below, as what is missing is
            )
        except Exception as error:  # the reader raises many unrelated kinds
            raise WorkloadError(f"{path} can't be read: {one_line(error)}; {_GIVE_THE_MODEL}") from error
        if lacking := [*told["missing_keys"], *(name for name, *_ in told["mismatched_keys"])]:
            raise WorkloadError(
                f"{path} lacks {lacking[0]!r} of the {type(module).__name__} that config.json tells of ({len(lacking)} "
                "weights are missing or of another shape); store the whole model with save_pretrained"
            )
        for part in module.modules():
            if isinstance(part, transformers.PreTrainedModel):
                part.name_or_path = ""  # the same model elsewhere is the same
        return self.adopted(sentences.encoder(module, path)).eval()

    def adopted(self, model: Any) -> Any:
        if "transformers" not in sys.modules or not isinstance(model, torch.nn.Module):
            return model
        from workbench.models.loaders.huggingface.plain import plain

        return plain(model)

    def tokenizer(self, path: Path, module: torch.nn.Module) -> Tokenizer | None:
        found = any((path / name).is_file() for name in tokens.FILES)
        return tokens.FolderTokenizer(path, module) if found else None


def _config(path: Path) -> dict[str, Any]:
    text = (path / "config.json").read_text()
    try:
        config = json.loads(text)
        kind = config["model_type"]
    except (ValueError, TypeError, KeyError):
        raise WorkloadError(
            f"{path / 'config.json'} is none of transformers: it names no model_type; store the model with "
            "save_pretrained"
        ) from None
    if own := _OWN_CODE.search(text):
        what = own[0].split('"')[1]
        raise WorkloadError(
            f"{path} holds a model ({kind}) with code of its own ({what}), which isn't run here; {_GIVE_THE_MODEL}"
        )
    return config


def _require_weights(path: Path) -> None:
    weights = list(path.glob("*.safetensors"))
    if not weights:
        pickled = any(path.glob("*.bin"))
        found = "pickled weights alone, which can run any code when they are loaded" if pickled else "no weights"
        raise WorkloadError(
            f"{path} holds {found}; where you trust it, load it with transformers and store it with save_pretrained, "
            "which writes safetensors"
        )
    refuse_beyond_memory(f"the model {path}", COPIES_OF_MODEL * sum(each.stat().st_size for each in weights))


def _kind(config: dict[str, Any], path: Path, *, plain: bool) -> Any:
    """The class to read it with: the one that config.json names; ``plain``, the model without a head."""
    import transformers

    version = f"transformers {transformers.__version__}"
    if config["model_type"] not in transformers.CONFIG_MAPPING:
        raise WorkloadError(
            f"{version} knows no models of type {config['model_type']!r}, as {path} has one; {_GIVE_THE_MODEL}"
        )
    names = config.get("architectures")
    if plain or not names:
        return transformers.AutoModel
    kind = getattr(transformers, names[0], None)
    if not (isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel)):
        raise WorkloadError(f"{version} has no model {names[0]!r}, as {path} names one; {_GIVE_THE_MODEL}")
    return kind
