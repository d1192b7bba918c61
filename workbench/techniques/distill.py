"""Distillation: a smaller student learns from the model so far."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from workbench import models
from workbench.errors import RecipeError, WorkbenchError, unknown
from workbench.plumbing.lazy import lazy
from workbench.techniques._base import Context, Task, Technique, option

if TYPE_CHECKING:
    import torch

    from workbench.variant import Variant
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
    """Train a smaller student to answer as the model does."""

    title: ClassVar[str] = "Distill"
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

        With soft labels the loss is that of Hinton et al., "Distilling the Knowledge in a Neural
        Network", 2015: ``weight · T² · KL(teacher ‖ student) + (1 - weight) · cross-entropy``, both
        sides of the divergence at temperature T.

        Raises
        ------
        WorkbenchError
            The student takes other inputs or gives other outputs than the model, the labels are no class numbers, or
            no channel of the model can be removed for a student of half its width.
        """
        from workbench.techniques._training import Plan, outputs, require_class_numbers, train

        context.checkpoint()
        require_class_numbers(variant.module, context.train, "distill")
        student, kept = self._student(variant.module, context)
        teacher_logits = outputs(variant.module, context, "distill: asking the teacher") if self._soft else None
        train(student, Plan("distill", self.epochs, self.learning_rate), context, self._loss(teacher_logits, context))
        return variant.having(module=student, unchanged=kept)

    def blocked(self, module: torch.nn.Module, task: Task | None = None) -> str | None:
        if self.student != HALF_WIDTH:
            return _unfit(self.student, task) if task else None
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
            (classes,) = teacher(context.train.inputs[:2]).shape[1:]
        if reason := _unfit(self.student, Task(tuple(context.train.inputs.shape[1:]), classes)):
            raise WorkbenchError(reason)
        with seeded(context.seed):
            return models.build(self.student).eval(), {}

    def _loss(self, teacher_logits: torch.Tensor | None, context: Context):
        functional, labels = torch.nn.functional, context.train.labels

        def hard(logits: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
            return functional.cross_entropy(logits, labels[rows])

        def soft(logits: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
            wanted = functional.log_softmax(teacher_logits[rows] / self.temperature, 1)
            given = functional.log_softmax(logits / self.temperature, 1)
            divergence = functional.kl_div(given, wanted, reduction="batchmean", log_target=True)
            share = self.weight * self.temperature**2 * divergence
            return share if self.weight == 1 else share + (1 - self.weight) * hard(logits, rows)

        return hard if teacher_logits is None else soft


@cache
def _unfit(name: str, task: Task) -> str | None:
    """Why the student can't do this task, found by one call with zeros; ``None`` when it can."""
    from workbench.techniques._training import seeded

    shape = list(task.input_shape)
    with seeded(0), torch.no_grad():  # as it was with torch's random numbers afterwards
        try:
            given = list(models.build(name).eval()(torch.zeros(2, *shape)).shape[1:])
        except (RuntimeError, ValueError, TypeError):
            return f"student {name!r} doesn't take this workload's inputs of shape {shape}; use {HALF_WIDTH!r}"
    if given != [task.classes]:
        return f"student {name!r} gives outputs of shape {given} and the model {[task.classes]}; use {HALF_WIDTH!r}"
    return None
