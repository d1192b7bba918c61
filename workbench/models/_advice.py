"""Files that hold no model that is read: in one line, what leads to one that is."""

from __future__ import annotations

from pathlib import Path

from workbench.errors import WorkloadError
from workbench.models import _weights
from workbench.models._files import STATE_DICTIONARIES, is_pickle, is_torchscript

FACTORY = "give model='module:factory', a function that makes the nn.Module, and weights={!r}"
_STORED = "weights.pth"


def refuse_weights(path: Path) -> None:
    """Raise :class:`WorkloadError` where the file is one of weights, a pickle or TorchScript; pass others."""
    if is_torchscript(path):
        raise WorkloadError(
            f"{path} is TorchScript, which can't be exported or changed; store its weights, "
            f"torch.save(torch.jit.load({str(path)!r}).state_dict(), {_STORED!r}), and {FACTORY.format(_STORED)}"
        )
    kept = path.suffix.lower()
    if kept == ".safetensors" or (kept in STATE_DICTIONARIES and _holds_weights(path)):
        raise WorkloadError(f"of {path} weights alone are read; {FACTORY.format(str(path))}")
    if kept in STATE_DICTIONARIES or is_pickle(path):
        raise WorkloadError(
            f"{path} is a pickle, which can run any code when it is loaded; where you trust it, store its weights, "
            f"torch.save(model.state_dict(), {_STORED!r}), and {FACTORY.format(_STORED)}"
        )


def _holds_weights(path: Path) -> bool:
    """Whether the file is a state dictionary, as far as can be seen without running code from it."""
    if not path.is_file():
        return True
    _weights.require_room(path, path.name)
    try:
        return bool(_weights.read(path))
    except WorkloadError:
        return False
