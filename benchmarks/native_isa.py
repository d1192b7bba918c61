"""The native engine held to an instruction set, beside oneDNN held to the same: ``python -m benchmarks.native_isa``.

oneDNN is what PyTorch computes convolutions and linear layers with: eager in float32 and bf16, Inductor in int8. It
reads its limit once, so each instruction set has a process of its own. The limit holds for oneDNN alone: what surrounds
it in PyTorch may use all that the processor has. Arguments are those of ``benchmarks.native``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

from benchmarks._interleave import geometric_mean
from benchmarks._native_report import Row, verdicts
from benchmarks.native import OUT
from workbench import kernels

LIMITS = {"avx2": "AVX2", "avxvnni": "AVX2_VNNI", "avx512vnni": "AVX512_CORE_VNNI"}
"""WORKBENCH_ISA: ONEDNN_MAX_CPU_ISA."""


def main() -> None:
    """Run the native benchmark once for each instruction set that this machine has, and print the means."""
    lines = []
    for ours, theirs in LIMITS.items():
        if ours not in kernels.isas():
            lines.append(f"{ours}: this machine doesn't have it")
            continue
        out = OUT.with_name(f"native-{ours}.json")
        print(f"\n{ours}, oneDNN limited to {theirs}", flush=True)
        command = [sys.executable, "-m", "benchmarks.native", *sys.argv[1:], "--out", str(out)]
        limited = {**os.environ, "WORKBENCH_ISA": ours, "ONEDNN_MAX_CPU_ISA": theirs}
        subprocess.run([*command, "--peers", "eager", "inductor/int8"], env=limited, check=True)
        ratios = [v.equal.slower for v in verdicts([Row(**row) for row in json.loads(out.read_text())["rows"]])]
        if ratios:
            lines.append(f"{ours}: geometric mean {geometric_mean(ratios):.2f}×, worst case {min(ratios):.2f}×")
    print("\nnative against oneDNN held to the same instruction set, at equal accuracy", *lines, sep="\n  ")


if __name__ == "__main__":
    main()
