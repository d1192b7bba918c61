"""The compiled kernels: whether they are here, for which instruction sets, and programs made of them.

Importing this needs neither torch nor the compiled part; :func:`unavailable` says why it can't be used.
"""

from __future__ import annotations

import hashlib
import importlib
import os
from functools import cache
from pathlib import Path
from types import ModuleType

from workbench.errors import EngineError, unknown


@cache
def _load() -> tuple[ModuleType | None, str]:
    try:
        return importlib.import_module("workbench.kernels._core"), ""
    except ImportError as error:
        return None, str(error)


def unavailable() -> str | None:
    """Why the kernels can't be used here, with what to do; ``None`` when they can."""
    core, error = _load()
    if core is not None:
        return None
    missing = "No module named" in error
    why = "the package was installed without a C++ compiler" if missing else error
    return f"the native kernels were not built ({why}); install g++ and run: pip install --force-reinstall --no-deps ."


def core() -> ModuleType:
    """The compiled module; :class:`EngineError` with the reason where there is none."""
    module = _load()[0]
    if module is None:
        raise EngineError(unavailable() or "")
    return module


@cache
def build_id() -> str:
    """A sha256 of the compiled module: what was measured with other kernels isn't true of these."""
    return hashlib.sha256(Path(core().__file__).read_bytes()).hexdigest()


def isas() -> list[str]:
    """The instruction sets usable on this machine, best first; "reference" is always the last."""
    return core().isas()


def chosen_isa() -> str:
    """The best usable instruction set, or the one that ``WORKBENCH_ISA`` forces.

    Raises
    ------
    EngineError
        Where ``WORKBENCH_ISA`` names one that this machine doesn't have.
    """
    usable = isas()
    forced = os.environ.get("WORKBENCH_ISA")
    if not forced:
        return usable[0]
    if forced not in usable:
        raise EngineError("WORKBENCH_ISA: " + unknown("instruction set", forced, usable))
    return forced


def multiplies_bf16(isa: str) -> bool:
    """Whether an instruction set has convolutions and linear layers in bf16."""
    return core().bf16(isa)
