"""Examples whose answer is one of several classes, and what is taken for what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from workbench.core.examples.batch import UNCHANGED, Batch, counts_of, shares
from workbench.core.examples.drawing import inputs_drawn, named
from workbench.examples import OUTCOMES, Confusion, Example, Examples, Shown

if TYPE_CHECKING:
    from workbench.core.examples.find import Compared

_MOST_CLASSES = 20
"""In a matrix that can be read."""


class OfClasses:
    """Takes answers int64 [n]."""

    def __init__(self, compared: Compared) -> None:
        self._compared, self._count = compared, compared.workload.output_shape[0]
        self._rows: list[torch.Tensor] = []

    def add(self, batch: Batch) -> None:
        before, after = batch.answers
        targets = torch.full_like(before, -1) if batch.targets is None else batch.targets
        self._rows.append(torch.stack([batch.index, targets, before, after, batch.outcomes()], dim=1))

    def found(self, seen: int) -> Examples:
        rows = torch.cat(self._rows)
        compared = self._compared
        judged = not compared.compares_with_untouched
        return Examples(
            counted="answers",
            total=len(rows),
            counts=counts_of(rows[:, -1], judged=judged),
            examples=tuple(self._example(*row) for row in self._chosen(rows)),
            seen=seen,
            available=len(compared.workload.test),
            confusion=self._confusion(rows) if judged and self._count <= _MOST_CLASSES else None,
        )

    def _chosen(self, rows: torch.Tensor) -> list[list[int]]:
        """Those to show, by outcome and by number."""
        changed = rows[rows[:, -1] != UNCHANGED]
        groups = [changed[changed[:, -1] == outcome] for outcome in range(len(OUTCOMES))]
        taken = shares(map(len, groups), self._compared.limit)
        return [
            row
            for group, count in zip(groups, taken, strict=True)
            for row in group[group[:, 0].argsort()][:count].tolist()
        ]

    def _example(self, number: int, target: int, before: int, after: int, outcome: int) -> Example:
        workload = self._compared.workload
        inputs = workload.test.at(torch.tensor([number])).inputs

        def told(answer: int) -> Shown:
            return Shown(text=named(answer, workload.classes))

        return Example(
            number=number,
            outcome=OUTCOMES[outcome],
            inputs=inputs_drawn(inputs, workload.decode),
            target=told(target) if target >= 0 else None,
            before=told(before),
            after=told(after),
        )

    def _confusion(self, rows: torch.Tensor) -> Confusion:
        _, targets, before, after, _ = rows.unbind(1)
        return Confusion(
            classes=tuple(named(each, self._compared.workload.classes) for each in range(self._count)),
            baseline=self._matrix(targets, before),
            variant=self._matrix(targets, after),
        )

    def _matrix(self, targets: torch.Tensor, answers: torch.Tensor) -> tuple[tuple[int, ...], ...]:
        """How often each class was answered for each; answers that are none are left out."""
        told = (targets >= 0) & (answers >= 0)
        cells = (targets * self._count + answers)[told].bincount(minlength=self._count**2)
        return tuple(map(tuple, cells.reshape(self._count, self._count).tolist()))
