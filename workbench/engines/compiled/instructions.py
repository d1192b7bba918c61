"""Which vector instructions the compiled engine may use, as Inductor finds out: it builds and loads a test program."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path


def find_instruction_sets(kept: Path) -> None:
    """Let Inductor try what this CPU can do, once for this process.

    Its test programs take seconds to build; ``kept`` has those of all processes. Each works on a copy, since Inductor
    holds a file lock beside the program it tries: a build that is paused just then would keep it, and with it everyone
    who loads a compiled model, for as long as it is paused.
    """
    from torch._inductor import cpu_vec_isa

    before = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    with tempfile.TemporaryDirectory(prefix="workbench-isa-") as directory:
        own = Path(directory)
        _copy_programs(kept, own)
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = directory
        try:
            cpu_vec_isa.pick_vec_isa()
        finally:
            del os.environ["TORCHINDUCTOR_CACHE_DIR"]
            if before is not None:
                os.environ["TORCHINDUCTOR_CACHE_DIR"] = before
        _copy_programs(own, kept)


def _copy_programs(source: Path, target: Path) -> None:
    for program in source.rglob("*.so"):
        copy = target / program.relative_to(source)
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            landing = copy.with_suffix(f".{os.getpid()}")
            shutil.copy2(program, landing)
            os.replace(landing, copy)  # whole, or not there
