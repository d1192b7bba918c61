"""Distillation: a smaller student learns from the model so far."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from workbench import models
from workbench.errors import RecipeError, WorkbenchError, unknown
from workbench.plumbing.lazy import lazy
from workbench.techniques._base import Context, Form, Technique, option
from workbench.variant import Variant

if TYPE_CHECKING:
    import torch

    from workbench.tasks import Loss
    from workbench.workload import Data
else:
    torch = lazy("torch")

HALF_WIDTH = "half-width"


def _known(student: str) -> str:
    if student not in _choices():
        raise RecipeError(unknown("student", student, _choices()))
    return student


def _choices() -> tuple[str, ...]:
    return (HALF_WIDTH, *models.students())


class _OneOfTheStudents:
    """Lists the students in the schema when it is asked for: which there are is the zoo's knowledge."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "enum": list(_choices())}


class Distill(Technique):
    """Train a smaller student to answer as the model does.

    The model is the teacher: the student learns from its answers to the training data, how sure of each class it is
    included, which says more than the labels alone. A student has fewer weights, so it is smaller and faster on every
    engine; it takes training, and what it can't learn is lost.
    """

    title: ClassVar[str] = "Distill"
    family: ClassVar[str] = "Teach"
    order: ClassVar[int] = 10
    main_option: ClassVar[str] = "student"
    deciding_option: ClassVar[str | None] = "student"
    summarized: ClassVar[tuple[str, ...]] = ("student",)

    do: Literal["distill"] = "distill"
    student: Annotated[str, AfterValidator(_known), _OneOfTheStudents] = option(
        HALF_WIDTH,
        "half-width: this very architecture with half its channels; or an embedded model, trained from scratch",
        title="Student",
    )
    labels: Literal["soft", "hard"] = option(
        "soft", "learn from the teacher's probabilities (soft) or from the data's labels alone (hard)", title="Labels"
    )
    temperature: float = option(
        4.0,
        "how far the teacher's probabilities are evened out",
        when={"labels": ["soft"]},
        title="Temperature",
        ge=1,
        le=20,
    )
    weight: float = option(
        0.9,
        "share of the teacher in the loss; the rest is the data's labels",
        unit="fraction",
        when={"labels": ["soft"]},
        title="Teacher's share",
        ge=0,
        le=1,
    )
    epochs: int = option(2, "training passes", unit="epochs", trains=True, title="Epochs", ge=1, le=10)
    learning_rate: float = option(0.01, "the highest learning rate", title="Learning rate", ge=1e-5, le=0.1)

    @classmethod
    def preload(cls) -> None:
        from workbench.techniques.prune import channels  # noqa: F401

    def apply(self, variant: Variant, context: Context) -> Variant:
        """Put a trained student in the place of the variant's module, which is the teacher.

        With soft labels the loss of a classifier is that of Hinton et al., "Distilling the Knowledge in a Neural
        Network", 2015: ``weight · T² · KL(teacher ‖ student) + (1 - weight) · cross-entropy``, both sides of the
        divergence at temperature T. Other tasks have their own distance to the teacher in place of the divergence
        (``towards`` of their loss). Without targets the teacher alone counts.

        Raises
        ------
        WorkbenchError
            The student takes other inputs or gives other outputs than the model, nothing is known that could train it,
            or no channel of the model can be removed for a student of half its width.
        """
        from workbench.techniques._better import refereed
        from workbench.techniques._training import Plan, loss_for, outputs, train

        context.checkpoint()
        loss = loss_for(variant.module, context, "distill")
        if context.train.targets is None and not self._soft:
            raise WorkbenchError("distill learns from targets alone here, and the data have none; use soft labels")
        context, referee = refereed(context, variant.module)
        student, kept = self._student(variant.module, context)
        taught = outputs(variant.module, context, "distill: asking the teacher") if self._soft else None
        loss_of = self._loss(loss, taught, context.train)
        plan = Plan("distill", self.epochs, self.learning_rate)
        train(student, plan, context, loss_of, judge=referee.glance if referee else None)
        return Variant(student, unchanged=kept, notices=variant.notices)

    def blocked(self, module: torch.nn.Module, form: Form | None = None) -> str | None:
        if self.student != HALF_WIDTH:
            return _unfit(self.student, form) if form else None
        from workbench.techniques.prune import Prune

        reason = Prune(kind="channels").blocked(module)
        return f"no student of half the width: {reason}" if reason else None

    def replaces_model(self) -> bool:
        return self.student != HALF_WIDTH

    def summary(self) -> str:
        return f"distill → {self.student}"

    @property
    def _soft(self) -> bool:
        return self.labels == "soft" and self.weight > 0

    def _student(self, teacher: torch.nn.Module, context: Context) -> tuple[torch.nn.Module, dict[str, str]]:
        if self.student == HALF_WIDTH:
            from workbench.models.folding import folded_parametrizations
            from workbench.techniques.prune.channels import narrowed

            teacher = folded_parametrizations(teacher)
            return narrowed(teacher, context.train.inputs, 0.5, "l1", seed=context.seed, checkpoint=context.checkpoint)
        from workbench.techniques._training import seeded

        with torch.no_grad():
            output = teacher(*context.train.at(slice(2)).inputs).shape[1:]
        if reason := _unfit(self.student, Form.of(context.train.inputs, tuple(output))):
            raise WorkbenchError(reason)
        with seeded(context.seed):
            return models.build(self.student).eval(), {}

    def _loss(self, loss: Loss, taught: Data | None, examples: Data):
        def hard(outputs: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
            return loss(outputs, examples.at(rows).targets)

        def soft(outputs: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
            distance = loss.towards(outputs, *taught.at(rows).inputs, self.temperature)
            if self.weight == 1 or examples.targets is None:
                return distance
            return self.weight * distance + (1 - self.weight) * hard(outputs, rows)

        return hard if taught is None else soft


@cache
def _unfit(name: str, form: Form) -> str | None:
    """Why the student can't take and give the same, found by one call with zeros; ``None`` when it can."""
    from workbench.techniques._training import seeded

    shapes = " and ".join(str(list(shape)) for shape, _ in form.inputs)
    with seeded(0), torch.no_grad():  # as it was with torch's random numbers afterwards
        try:
            given = models.build(name).eval()(*(torch.zeros(2, *shape, dtype=dtype) for shape, dtype in form.inputs))
        except (RuntimeError, ValueError, TypeError, IndexError):
            return f"student {name!r} doesn't take this workload's inputs of shape {shapes}; use {HALF_WIDTH!r}"
    if given.shape[1:] != form.output:
        return (
            f"student {name!r} gives outputs of shape {list(given.shape[1:])} and the model {list(form.output)}; "
            f"use {HALF_WIDTH!r}"
        )
    return None
