"""The ``run.py`` beside saved models: each of them answers the same examples."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

import torch

from workbench.engines import Export
from workbench.tasks.metrics import Metric

SCRIPT, INPUTS = "run.py", "inputs.npz"
_HEAD = f'''"""The models in this folder, each on the examples in {INPUTS}: python {SCRIPT}"""

import os

import numpy
import torch

os.chdir(os.path.dirname(os.path.abspath(__file__)))
inputs = [torch.from_numpy(each) for each in numpy.load("{INPUTS}").values()]
'''
_WITH_A_MODULE = """
try:
    import {module}
except ImportError:
    print("{name}: needs {module}, which isn't installed here")
else:
"""
_MOST_SHOWN = 20


def script(exports: Iterable[Export], metric: Metric, outputs: torch.Tensor) -> str:
    """The text of ``run.py`` for files in these forms, whose models give ``outputs`` [n, …] for the examples."""
    answers = _answers(metric, outputs)
    return _HEAD + "".join(_run(export, answers) for export in exports)


def _run(export: Export, answers: str) -> str:
    lines = "\n".join([*export.code, f'print("{export.name}:", {answers})', ""])
    if not export.module:
        return f"\n{lines}"
    head = _WITH_A_MODULE.format(module=export.module, name=export.name)
    return head + textwrap.indent(lines, "    ")


def _answers(metric: Metric, outputs: torch.Tensor) -> str:
    """Code for the first answers in ``outputs``: classes where the metric tells them by the highest score."""
    classes = metric.answers(outputs)
    for dim in range(1, outputs.dim()):
        if classes is not None and torch.equal(outputs.argmax(dim), classes):
            return f"outputs.argmax({dim}).flatten()[:{_MOST_SHOWN}].tolist()"
    return f'[f"{{each:.3g}}" for each in outputs.flatten()[:{_MOST_SHOWN}].tolist()]'
