"""What to do to a workload, as data: ordered technique steps, then a placement.

One JSON document that the widgets, the command line, history and notebooks all speak.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    field_validator,
    model_validator,
)

from workbench import engines, precisions, techniques
from workbench._recipe_errors import one_line
from workbench.errors import RecipeError
from workbench.machine import devices
from workbench.machine.limits import usable_threads
from workbench.precisions import Precision
from workbench.techniques import Technique

VERSION = 1
_EXAMPLE = '{"steps": [{"do": "quantize"}], "place": {"engine": "eager"}}'


def _step(value: Any) -> Technique:
    if isinstance(value, Technique):
        return value
    if not isinstance(value, dict) or "do" not in value:
        raise RecipeError(f"a step is an object with a field 'do', not {value!r}")
    if not isinstance(value["do"], str):
        raise RecipeError(f"a step's 'do' is the name of a technique, not {value['do']!r}")
    return techniques.find(value["do"]).model_validate(value)


Step = Annotated[SerializeAsAny[Technique], BeforeValidator(_step)]


class Place(BaseModel):
    """Where and how a variant runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: str = Field("auto", description='one of `workbench list engines`, or "auto": the best one here')
    device: str = Field("cpu", pattern=devices.pattern(), description=devices.names())
    threads: int | None = Field(None, ge=1, le=1024, description="CPU threads; all usable ones when absent")
    batch: int = Field(1, ge=1, le=4096, description="inputs per call while latency is measured")

    @field_validator("device", mode="before")
    @classmethod
    def _first_of_its_kind(cls, value: Any) -> Any:
        kind = devices.kinds().get(value) if isinstance(value, str) else None
        return f"{value}:0" if kind and kind.numbered else value

    @model_validator(mode="after")
    def _known_engine(self) -> Place:
        if self.engine != "auto":
            engines.find(self.engine)
        return self


class Recipe(BaseModel):
    """Ordered steps, then a placement. Immutable; equal recipes have equal :meth:`key`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workbench_recipe: int = VERSION
    steps: tuple[Step, ...] = ()
    place: Place = Place()
    seed: int = Field(0, ge=0, lt=2**32, description="seeds training, random pruning and measurement order")

    @classmethod
    def parse(cls, document: Recipe | dict | str | None = None, **fields: Any) -> Recipe:
        """Read a recipe from a dict, a JSON text or keyword arguments.

        Raises
        ------
        RecipeError
            In one line: the unknown or impossible field, its value, and the nearest valid ones.
        """
        if isinstance(document, Recipe):
            return document
        if isinstance(document, str):
            try:
                document = json.loads(document)
            except json.JSONDecodeError as error:
                raise RecipeError(f"not a recipe: invalid JSON at line {error.lineno} ({error.msg})") from None
        if not isinstance(document, dict | None):
            raise RecipeError(f"a recipe is a JSON object like {_EXAMPLE}, not {type(document).__name__}")
        document = {**(document or {}), **fields}
        version = document.get("workbench_recipe", VERSION)
        if not isinstance(version, int) or version < 1:
            raise RecipeError(f"workbench_recipe is the version of the format, {VERSION}, not {version!r}")
        if version > VERSION:
            raise RecipeError(
                f"this recipe is of version {version}, made by a newer workbench; this one reads up to version "
                f"{VERSION}: upgrade model-workbench to use it"
            )
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise RecipeError(one_line(error, document, cls, Place, techniques.find)) from None

    @classmethod
    def plain(cls) -> Recipe:
        """The untouched model as PyTorch runs it."""
        return cls(place=Place(engine=engines.reference().name))

    @model_validator(mode="after")
    def _order(self) -> Recipe:
        graph_step = None
        for step in self.steps:
            if graph_step is not None:
                raise RecipeError(f"{step.do!r} can't come after {graph_step.do!r}: it changes the model before that")
            if step.works_on == "graph":
                graph_step = step
        return self

    def to_json(self, **options: Any) -> str:
        """The recipe as one JSON document, every field written out."""
        return self.model_dump_json(**options)

    def key(self) -> str:
        """A sha256 of everything in it."""
        return _digest(self.model_dump(mode="json"))

    def step_keys(self) -> list[str]:
        """A sha256 for each prefix of the steps: what the variant cache goes by.

        The seed belongs to each: training, random pruning and the choice of calibration examples go by it.
        """
        dumped = [step.model_dump(mode="json") for step in self.steps]
        return [_digest([self.seed, dumped[: n + 1]]) for n in range(len(dumped))]

    @property
    def open_step(self) -> Technique | None:
        """The step that leaves choices to a search; ``None`` where none does."""
        return next((step for step in self.steps if step.searches()), None)

    @property
    def precision(self) -> str:
        """The name of the precision that the recipe asks the layers to be computed in: the last step's that asks."""
        return next((step.precision for step in reversed(self.steps) if step.precision), "fp32")

    @property
    def precisions(self) -> tuple[str, ...]:
        """That, and what single layers are asked to be computed in instead: all that the engine must run."""
        others = {each for step in self.steps for each in step.precisions}
        return (self.precision, *sorted(others - {self.precision}))

    @property
    def formats(self) -> Precision:
        """The number formats of that precision."""
        return precisions.find(self.precision)

    def summary(self) -> str:
        """A few words for legends and history, e.g. "prune 50 % + int8 · onnxruntime · batch 64 · 1 thread".

        What isn't as it would be without a word is said, so that different recipes read differently.
        """
        place = self.place
        words = [" + ".join(step.label() for step in self.steps) or "fp32", place.engine]
        words += [place.device] if place.device != "cpu" else []
        words += [f"batch {place.batch}"] if place.batch > 1 else []
        if place.threads not in (None, usable_threads()):
            words.append(f"{place.threads} thread{'s' if place.threads > 1 else ''}")
        words += [f"seed {self.seed}"] if self.seed else []
        return " · ".join(words)


def summary_of(document: dict[str, Any]) -> str:
    """A recipe of the history in a few words, or as it is written where this version no longer reads it."""
    try:
        return Recipe.parse(document).summary()
    except RecipeError:
        return json.dumps(document)


def _digest(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
