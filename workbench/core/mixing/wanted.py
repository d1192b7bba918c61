"""What is asked of automatic mixed precision, beside a recipe."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.errors import WorkbenchError


@dataclass(frozen=True)
class Wanted:
    """``budget``: the loss accepted, a share; ``schemes`` by name, none for the usual ones; ``examples`` that judge.

    No further model is begun after so many ``seconds``.

    Raises
    ------
    WorkbenchError
        Where one of them makes no sense, with what does.
    """

    budget: float
    schemes: tuple[str, ...] = ()
    examples: int = 4000
    seconds: float = 120.0

    def __post_init__(self) -> None:
        if not 0 < self.budget <= 1:
            raise WorkbenchError(
                f"budget is {self.budget:g}; give the loss that is accepted as a share above 0 and up to 1: 0.005 is "
                "half a percentage point, or half a per cent of a metric that is no share"
            )
        if self.examples < 1:
            raise WorkbenchError(f"examples is {self.examples}; look at 1 or more")
        if not self.seconds > 0:
            raise WorkbenchError(f"seconds is {self.seconds:g}; give it some")
