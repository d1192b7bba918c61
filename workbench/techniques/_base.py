"""What every technique is: a recipe step whose fields are its options and whose ``apply`` does it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

if TYPE_CHECKING:
    import torch

    from workbench.receipt import Quality
    from workbench.tasks import Loss, Metric
    from workbench.variant import Variant
    from workbench.workload import Data, Inputs, LoadedWorkload


def option(
    default: Any,
    help: str,
    *,
    unit: str | None = None,
    when: dict[str, list] | None = None,
    maximum_when: dict[str, dict[str, float]] | None = None,
    default_when: dict[str, dict[str, Any]] | None = None,
    trains: bool | None = None,
    precisions: dict[str, str] | None = None,
    entry: str | None = None,
    **limits: Any,
):
    """Declare one option of a technique.

    Parameters
    ----------
    default
        The value used when the recipe doesn't give one.
    help
        One line, shown beside the control, in ``--help`` and in the reference.
    unit
        What the number counts ("epochs", "fraction"); absent for names.
    when
        ``{"other field": [values]}``: the option matters only then and is hidden otherwise.
    maximum_when
        ``{"other field": {value: maximum}}``: where a choice allows less than ``le``.
    default_when
        ``{"other field": {value: default}}``: where a choice asks for another value than ``default``.
    trains
        Whether it counts the epochs that the step trains for.
    precisions
        ``{value: precision}``: what the layers are to be computed in where this value is chosen.
    entry
        Of a mapping: what an entry is for, which names its flag: ``--quantize-layer conv1=fp32``.
    limits
        ``ge``, ``le``, ``title`` and the like, as pydantic's ``Field`` takes them.
    """
    rules = {"when": when, "maximum_when": maximum_when, "default_when": default_when}
    rules |= {"trains": trains, "precisions": precisions, "entry": entry}
    extra = {key: value for key, value in {"unit": unit, **rules}.items() if value is not None}
    return Field(default, description=help, json_schema_extra=extra, **limits)


@dataclass(frozen=True)
class TrainingPoint:
    """One point of a live training curve. ``step`` counts optimiser steps from 1; losses are means.

    ``quality`` is what the model comes to by now on a few examples that it isn't trained on, now and then.
    """

    technique: str
    step: int
    total_steps: int
    epoch: float
    loss: float
    quality: Quality | None = None


@dataclass(frozen=True)
class Context:
    """What a technique may use besides the variant.

    ``train`` is what it may learn or calibrate from (never the test data), ``loss`` what training makes small and
    ``metric`` what judges that; None: what the targets' form asks for. ``checkpoint`` is called at every batch boundary
    and raises ``Cancelled`` once the run was cancelled. ``progress`` takes (message, done, total); ``curve`` takes
    training points; ``spent`` the seconds of what takes the longer the more examples there are. ``saturates``: the
    engine chosen adds pairs of 8-bit products in 16 bits here, which overflow where both factors use all of their 8
    bits.
    """

    train: Data
    loss: Loss | None = None
    metric: Metric | None = None
    seed: int = 0
    saturates: bool = False
    checkpoint: Callable[[], None] = lambda: None
    progress: Callable[[str, int, int], None] = lambda message, done, total: None
    curve: Callable[[TrainingPoint], None] = lambda point: None
    spent: Callable[[float], None] = lambda seconds: None

    @classmethod
    def of(cls, workload: LoadedWorkload, **more: Any) -> Context:
        """With the data and the task of ``workload``."""
        return cls(workload.train, workload.task.loss, workload.task.metric, **more)


@dataclass(frozen=True)
class Form:
    """What a model takes and gives: the shapes of its inputs and of its output, without the batch."""

    inputs: tuple[tuple[tuple[int, ...], torch.dtype], ...]
    """Shape and type of each."""
    output: tuple[int, ...]

    @classmethod
    def of(cls, inputs: Inputs, output: tuple[int, ...]) -> Form:
        """That of a model which takes such ``inputs`` [batch, …]."""
        return cls(tuple((tuple(each.shape[1:]), each.dtype) for each in inputs), output)


def _in_words(value: Any) -> str:
    return ("off", "on")[value] if isinstance(value, bool) else str(value)


class Technique(BaseModel):
    """A step of a recipe. Subclasses set ``do`` to a ``Literal`` and add their options as fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    do: str

    title: ClassVar[str]
    """What the widgets call it."""
    family: ClassVar[str] = ""
    """The techniques that it stands among in the widgets, by the name they share; absent: by itself."""
    works_on: ClassVar[str] = "module"
    """"module" (an nn.Module in, one out) or "graph" (post-training, makes the QDQ graph, comes last)."""

    heeds_saturation: ClassVar[bool] = False
    """Whether what it makes depends on :attr:`Context.saturates`."""

    libraries: ClassVar[tuple[str, ...]] = ()
    """Installed packages, beside torch, that what it makes depends on: their versions are part of a result's key."""

    order: ClassVar[int]
    """Where toggles put it among the steps: a student is chosen (10) before it is pruned (20) and quantized (90).

    What follows from it is said by :func:`workbench.techniques.later`.
    """
    main_option: ClassVar[str]
    """The field a bare value sets on the command line: ``--quantize int8`` sets ``scheme``."""
    deciding_option: ClassVar[str | None] = None
    """The field, one of few choices, by which :meth:`blocked` decides; ``None`` where it goes by the model alone."""
    summarized: ClassVar[tuple[str, ...]] = ()
    """The fields that :meth:`summary` tells of."""

    @model_validator(mode="before")
    @classmethod
    def _defaults_by_choice(cls, values: Any) -> Any:
        """Give the options that aren't given the default that the others ask for."""
        if not isinstance(values, dict):
            return values
        defaults = {name: field.default for name, field in cls.model_fields.items()} | values
        return {name: cls._default(name, defaults) for name in cls._declared("default_when")} | values

    @field_validator("*", mode="after")
    @classmethod
    def _one_zero(cls, value: Any) -> Any:
        """Turn -0.0 into 0.0: they are equal, and equal recipes have equal keys."""
        return value + 0.0 if isinstance(value, float) else value

    @classmethod
    def choices(cls, option: str) -> tuple[str, ...]:
        """The values that an option can take, where they are few; empty for a number."""
        return tuple(cls.model_json_schema()["properties"][option].get("enum", ()))

    def training_epochs(self) -> int:
        """How many epochs this step will train for: on request only, never ahead of it. 0 means it acts at once."""
        return sum(getattr(self, name) for name in self._declared("trains"))

    def searches(self) -> bool:
        """Whether it leaves choices to a search, which a run makes on request only and takes the time of."""
        return False

    @property
    def precision(self) -> str | None:
        """What it asks the layers to be computed in; ``None`` where it leaves that as it is."""
        asked = (precisions.get(getattr(self, name)) for name, precisions in self._declared("precisions").items())
        return next(filter(None, asked), None)

    @property
    def precisions(self) -> Collection[str]:
        """Those that it asks of any layer, its own among them."""
        return {self.precision} - {None}

    def of_layer(self, layer: str | None) -> str | None:
        """The precision it asks of a layer, by name; of what is outside of any where ``None``."""
        return self.precision

    @classmethod
    def preload(cls) -> None:
        """Import the libraries ``apply`` needs (seconds), so that the first use is as quick as the next."""

    @abstractmethod
    def apply(self, variant: Variant, context: Context) -> Variant:
        """Return the changed variant; the given one stays as it was."""

    def blocked(self, module: torch.nn.Module, form: Form | None = None) -> str | None:
        """Why this step could do nothing to ``module``, for the greyed toggle; ``None`` when it can.

        Looks at the layers and, where it is given, at the form; doesn't run the module. ``apply``
        raises where this can't know beforehand.
        """
        return None

    def unfit(self, layer: torch.nn.Module) -> str | None:
        """Why this step could do nothing to a layer by itself; ``None`` when it can."""
        return None

    def replaces_model(self) -> bool:
        """Whether another architecture takes the model's place: what is known of its layers then says nothing."""
        return False

    def summary(self) -> str:
        """A few words, e.g. "prune 50 %"."""
        return self.do

    def now(self) -> str:
        """The summary where the technique's name stands beside it: "50 %"."""
        return self.summary().removeprefix(self.do).strip()

    def label(self) -> str:
        """The summary with what it leaves out of options that matter and aren't at their default: "…, criterion l2"."""
        told = {"do", *self.summarized}
        others = {name: field for name, field in type(self).model_fields.items() if name not in told}
        changed = [
            f"{field.title.lower()} {_in_words(getattr(self, name))}"
            for name, field in others.items()
            if getattr(self, name) != self._default(name, vars(self))
            and self._matters(field.json_schema_extra.get("when", {}))
        ]
        return ", ".join([self.summary(), *changed])

    @classmethod
    def _default(cls, name: str, values: dict[str, Any]) -> Any:
        """The default of an option beside ``values`` of all."""
        field = cls.model_fields[name]
        for other, defaults in (field.json_schema_extra or {}).get("default_when", {}).items():
            for choice, default in defaults.items():
                if values[other] == choice:
                    return default
        return field.default

    @classmethod
    def _declared(cls, rule: str) -> dict[str, Any]:
        """By option what :func:`option` was told as ``rule``; options without it are left out."""
        rules = {name: field.json_schema_extra or {} for name, field in cls.model_fields.items()}
        return {name: each[rule] for name, each in rules.items() if rule in each}

    def _matters(self, when: dict[str, list]) -> bool:
        return all(getattr(self, other) in values for other, values in when.items())
