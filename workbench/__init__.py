"""A workbench for making neural networks faster, with every number measured on the spot.

>>> import workbench as wb
>>> wb.show()                                   # the widget, on the embedded workload
>>> run = wb.run(wb.load("fashion-cnn"), wb.Recipe.parse(steps=[{"do": "quantize"}]))
>>> run.result().speedup
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import models
from workbench.errors import Cancelled, WorkbenchError, WorkloadError
from workbench.mixtures import Mixture
from workbench.recipe import Place, Recipe
from workbench.session import Run, RunCancelled, RunFailed, Session, default_session, history_store
from workbench.workload import Workload, is_auto

if TYPE_CHECKING:
    import pandas
    import torch

    from workbench.engines import Runner
    from workbench.widgets import Workbench

__all__ = [
    "Mixture",
    "Place",
    "Recipe",
    "Run",
    "RunCancelled",
    "RunFailed",
    "Runner",
    "Session",
    "Workbench",
    "WorkbenchError",
    "Workload",
    "history",
    "load",
    "load_program",
    "mixed_precision",
    "prepare",
    "run",
    "sensitivity",
    "show",
]


def load(name: str) -> Workload:
    """Return an embedded or fetched workload by name, in any case; :class:`WorkloadError` with the nearest names."""
    name = models.named(name) if isinstance(name, str) else name
    if name not in models.available() and _looks_like_a_model(name):
        raise WorkloadError(
            f"{str(name)!r} is the name of no embedded workload; a model file or 'module:factory' is given with its "
            f"data: wb.Workload({str(name)!r}, data=(inputs, targets))"
        )
    models.require(name)
    return Workload(name)


def _looks_like_a_model(name: str | os.PathLike) -> bool:
    return isinstance(name, os.PathLike) or os.sep in name or ":" in name or bool(Path(name).suffix)


def run(
    workload: Workload | str, recipe: Recipe | dict | str | None = None, *, baseline: str = "auto", **fields: Any
) -> Run:
    """Start one recipe on one workload in the worker and return at once.

    Parameters
    ----------
    workload
        A :class:`Workload` or the name of an embedded one.
    recipe
        A recipe as :meth:`Recipe.parse` takes it, or its fields as keywords.
    baseline
        The fp32 engine to compare with; "auto" is the faster of eager and compiled.

    Returns
    -------
    Run
        Iterate over it for events; ``run.result()`` waits for the figures.
    """
    workload = load(workload) if isinstance(workload, str) else workload
    return default_session().start(workload, Recipe.parse(recipe, **fields), baseline=baseline)


def prepare(
    model: torch.nn.Module | Workload | str,
    example: Any = None,
    recipe: Recipe | dict | str | None = None,
    *,
    calibration: Any = None,
    call: str = "auto",
    output: Any = "auto",
) -> Runner:
    """Apply a recipe to a model in this process and return what runs it: ``f(x) -> Tensor``, with its ``f.receipt``.

    Parameters
    ----------
    model
        Any ``nn.Module``; it stays as it is. Or a :class:`Workload`, or the name of an embedded one, which brings
        examples and calibration of its own.
    example
        A tensor [batch, …], or a tuple or dictionary of several: what it will be called with, mostly. The runner takes
        the tensors one by one, ``f(a, b)``, those of a dictionary in its order.
    recipe
        As :meth:`Recipe.parse` takes it.
    calibration
        Inputs [N, …] in the form of ``example``, or ``(inputs, targets)``; recipes that train need some.
    call, output
        How inputs are passed and what of the output counts; see :class:`Workload`.

    Raises
    ------
    WorkbenchError
        When a step or the engine can't do it, with the reason.
    """
    from workbench.core import prepare

    recipe = Recipe.parse(recipe)
    if not isinstance(model, Workload | str):
        return prepare.prepare(model, example, recipe, calibration, call=call, output=output)
    own = {"example": example, "calibration": calibration, "call": call, "output": output}
    if given := [name for name, value in own.items() if value is not None and not is_auto(value)]:
        raise WorkloadError(f"a Workload says all that itself; leave out {' and '.join(given)}")
    return prepare.prepare_workload(load(model) if isinstance(model, str) else model, recipe)


def sensitivity(
    workload: Workload | str,
    schemes: str | Sequence[str] = (),
    *,
    recipe: Recipe | dict | str | None = None,
    examples: int = 1000,
) -> pandas.DataFrame:
    """What each layer costs the model in each scheme of quantization that it could have, measured.

    Parameters
    ----------
    workload
        A :class:`Workload` or the name of an embedded one.
    schemes
        A name, or several, as a recipe's ``overrides`` take them; when absent all but those of 7 to 5 bits.
    recipe
        What is done to the model before that; options of its quantize step are used for all schemes.
    examples
        Test examples that are looked at.

    Returns
    -------
    pandas.DataFrame
        A row for each layer and scheme: ``only_loss`` (in the metric's unit, positive is worse, with ``_low`` and
        ``_high``) and ``only_error`` where this layer alone is in the scheme, ``all_but_loss`` and ``all_but_error``
        where all others are, ``own_error`` and ``snr_db`` of the layer's own outputs, ``reason`` where it has no form.

    Raises
    ------
    WorkbenchError
        No scheme has a form for any layer, or a name is of none, with the nearest ones.
    """
    workload = load(workload) if isinstance(workload, str) else workload
    schemes = [schemes] if isinstance(schemes, str) else schemes
    asked = workload, Recipe.parse(recipe), schemes, examples
    while True:
        with contextlib.suppress(Cancelled):  # something else was asked of the worker: it goes on afterwards
            *_, found = default_session().sensitivity(*asked, train=True)
            return found.frame()


def mixed_precision(
    workload: Workload | str,
    budget: float = 0.005,
    schemes: str | Sequence[str] = (),
    *,
    recipe: Recipe | dict | str | None = None,
    examples: int = 4000,
    seconds: float = 120.0,
) -> Mixture:
    """Choose each layer's scheme of quantization: the fastest model that loses no more than ``budget``, by measurement.

    Layers are timed in each scheme, and each one's loss is measured alone; the fastest assignment by these figures is
    built, measured and mended, since neither times nor losses add up. Training examples judge on the way, none of
    which calibrates where there are enough; ``wb.run(workload, found.recipe)`` judges on the test examples. Interrupt
    it, and the best so far is returned.

    Parameters
    ----------
    workload
        A :class:`Workload` or the name of an embedded one.
    budget
        The loss that is accepted, beside the untouched model: 0.005 is half a percentage point, or half a per cent of
        the figure where the metric is no share.
    schemes
        A name, or several, that a layer may have beside fp32 and int8-static; when absent those that have kernels of
        their own and 4 bits or more.
    recipe
        What is done to the model before that, and where it runs; options of its quantize step are used for all schemes,
        but for overrides and training.
    examples
        Training examples that judge whole models; single layers are judged by the first 1,000 of them.
    seconds
        No further model is built after so long.

    Returns
    -------
    Mixture
        ``recipe``, for a run; ``candidates`` with what was estimated and measured of each, ``frame()`` as a DataFrame.
        Where int8-static in all layers is within the budget, the best is no slower than that; where it is as fast, it
        loses no more.

    Raises
    ------
    WorkbenchError
        The budget isn't above 0, or the model loses more without any quantization; there are no training examples with
        targets; or no engine that may be asked runs a scheme with times of single layers.
    """
    workload = load(workload) if isinstance(workload, str) else workload
    schemes = [schemes] if isinstance(schemes, str) else schemes
    asked = workload, Recipe.parse(recipe), budget, schemes
    best = None
    while best is None or not best.final:
        try:
            for found in default_session().mixed_precision(*asked, examples=examples, seconds=seconds, train=True):
                best = found if found.recipe else best
        except Cancelled:  # something else was asked of the worker: it goes on afterwards
            continue
        except KeyboardInterrupt:
            if best is None:
                raise
            return best
    return best


def load_program(path: str | os.PathLike, threads: int | None = None) -> Runner:
    """Load a ``native.safetensors``, as saving a model writes it, and return what runs it: ``f(*inputs) -> Tensor``.

    It needs neither the model it was made of nor its code. The kernels are those of this machine; what is fastest here
    is found at the first load. Its receipt was saved beside it.

    Parameters
    ----------
    path
        The file.
    threads
        CPU threads; all usable ones when absent.

    Raises
    ------
    WorkbenchError
        When the file holds no program that this version reads, or the kernels weren't built here.
    """
    from workbench.engines.native.runner import ProgramRunner

    return ProgramRunner.load(path, threads)


def history() -> pandas.DataFrame:
    """Every finished run on this machine as a pandas DataFrame, newest first."""
    return history_store().frame()


def __getattr__(name: str) -> Any:
    """The widgets, imported when asked for: the command line and scripts do without them."""
    if name in ("show", "Workbench"):
        from workbench import widgets

        return getattr(widgets, name)
    if name == "Runner":
        from workbench.engines import Runner

        return Runner
    raise AttributeError(f"module 'workbench' has no attribute {name!r}")
