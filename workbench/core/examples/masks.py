"""Pictures in which the class of some pixels changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from workbench.core.examples.batch import UNCHANGED, Batch, counts_of, shares
from workbench.core.examples.drawing import classes_drawn, colour_of, drawn, named
from workbench.examples import OUTCOMES, Example, Examples, Outcome

if TYPE_CHECKING:
    from workbench.core.examples.find import Compared

_LONGEST_LEGEND = 20


@dataclass(frozen=True)
class _Candidate:
    """One example; ``lost`` is how many more of its pixels are wrong than before, the masks int64 [H, W]."""

    number: int
    lost: int
    target: torch.Tensor | None
    before: torch.Tensor
    after: torch.Tensor
    figure: tuple[float, float] | None

    @property
    def outcome(self) -> Outcome:
        if self.target is None:
            return "changed"
        return "lost" if self.lost > 0 else "won" if self.lost < 0 else "other"


class OfMasks:
    """Takes answers int64 [n, …, H, W]; of several masks of one example what is in any is shown."""

    def __init__(self, compared: Compared) -> None:
        self._compared = compared
        self._candidates: list[_Candidate] = []
        self._counts = torch.zeros(len(OUTCOMES), dtype=torch.int64)
        self._total, self._judged, self._classes = 0, not compared.compares_with_untouched, 0

    def add(self, batch: Batch) -> None:
        outcomes = batch.outcomes()
        self._counts += torch.stack([(outcomes == each).sum() for each in range(len(OUTCOMES))])
        self._total += outcomes.numel()
        each = outcomes.flatten(1)
        lost = (each == OUTCOMES.index("lost")).sum(1) - (each == OUTCOMES.index("won")).sum(1)
        figures = self._figures(batch)
        before, after = map(_flat, batch.answers)
        targets = None if batch.targets is None else _flat(batch.targets)
        self._classes = max(self._classes, *(int(part.max()) + 1 for part in (before, after)))
        for row in (each != UNCHANGED).any(1).nonzero().flatten().tolist():
            target = None if targets is None else targets[row]
            known = (int(batch.index[row]), int(lost[row]), target, before[row], after[row])
            self._candidates.append(_Candidate(*known, figures[row] if figures else None))
        self._forget()

    def found(self, seen: int) -> Examples:
        workload, metric = self._compared.workload, self._compared.workload.task.metric
        outcomes = torch.arange(len(OUTCOMES)).repeat_interleave(self._counts)
        return Examples(
            counted="pixels",
            total=self._total,
            counts=counts_of(outcomes, judged=self._judged),
            examples=tuple(map(self._example, self._chosen())),
            seen=seen,
            available=len(workload.test),
            title=metric.title,
            unit=metric.unit,
            better=metric.better,
            legend=self._legend(),
        )

    def _figures(self, batch: Batch) -> list[tuple[float, float]]:
        """The metric of each example before and after, where that is one."""
        before, after = (self._compared.workload.task.metric.of_each(terms.numpy()) for terms in batch.terms)
        return list(zip(before.values.tolist(), after.values.tolist(), strict=True)) if before and after else []

    def _forget(self) -> None:
        """Keep those that lost most and those that won most: masks are large."""
        self._candidates.sort(key=lambda each: (-each.lost, each.number))
        if len(self._candidates) > 2 * self._compared.limit:
            del self._candidates[self._compared.limit : -self._compared.limit]

    def _chosen(self) -> list[_Candidate]:
        groups = [[each for each in self._candidates if each.outcome == outcome] for outcome in OUTCOMES]
        won = OUTCOMES.index("won")
        groups[won].reverse()  # what won most comes first
        taken = shares(map(len, groups), self._compared.limit)
        return [each for group, count in zip(groups, taken, strict=True) for each in group[:count]]

    def _example(self, candidate: _Candidate) -> Example:
        inputs = self._compared.workload.test.at(torch.tensor([candidate.number])).inputs
        return Example(
            number=candidate.number,
            outcome=candidate.outcome,
            inputs=tuple(drawn(each[0]) for each in inputs),
            target=None if candidate.target is None else classes_drawn(candidate.target),
            before=classes_drawn(candidate.before),
            after=classes_drawn(candidate.after),
            figure=candidate.figure,
        )

    def _legend(self) -> dict[str, str]:
        names = self._compared.workload.classes
        count = max(self._classes, min(len(names), _LONGEST_LEGEND))
        return {named(each, names): colour_of(each) for each in range(count)} if count <= _LONGEST_LEGEND else {}


def _flat(masks: torch.Tensor) -> torch.Tensor:
    """Masks [n, H, W] of [n, …, H, W]."""
    return masks.flatten(1, -3).amax(1) if masks.dim() > 3 else masks
