"""A program of its own that compiles one exported model: ``python -m workbench.engines.compiled.build DIRECTORY``.

It reads ``program.pt2`` and ``request.json`` in the directory and leaves the package in the cache.
It has a process group to itself and ends, with its C++ compilers, once its standard input closes:
that happens when the process that started it is gone, whatever way that went.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import threading
from pathlib import Path

from workbench.engines.compiled.instructions import find_instruction_sets


def main(directory: Path) -> None:
    """Compile what ``directory`` holds and move the package to where the request says."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    request = json.loads((directory / "request.json").read_text())
    os.nice(request["niceness"])

    import torch

    if request["quantized"]:
        import torchao.quantization.pt2e  # noqa: F401  the program's operations are registered there

    find_instruction_sets(Path(request["shared"]))
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(directory / "inductor")  # gone after the build
    torch.set_num_threads(request["threads"])
    program = torch.export.load(directory / "program.pt2")
    with torch.no_grad():  # Inductor folds weights into the code only where nothing can train them
        package = torch._inductor.aoti_compile_and_package(
            program,
            package_path=str(directory / "model.pt2"),
            inductor_configs={
                "freezing": True,
                "compile_threads": 1,
                # Precompiled headers pay off after some ten builds, and take 100 MB each.
                "aot_inductor.precompile_headers": False,
                "cpp_cache_precompile_headers": False,
            },
        )
    digest = hashlib.sha256(Path(package).read_bytes()).hexdigest()
    target = Path(request["target"])
    landing = target.parent / f".{os.getpid()}.part"
    landing.write_bytes(Path(package).read_bytes())
    os.replace(landing, target.parent / f"{target.name}.{digest}.pt2")


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
