"""Places in a text, or in another row of whole numbers, where the answer changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from workbench.core.examples.batch import UNCHANGED, Batch, counts_of, shares
from workbench.core.examples.drawing import named
from workbench.examples import OUTCOMES, Example, Examples, Shown

if TYPE_CHECKING:
    from workbench.core.examples.find import Compared

_TEXT_BEFORE = 40
"""Tokens that are shown before the answer."""
_NUMBERS_BEFORE = 8
_VISIBLE = {" ": "␣", "\n": "↵", "\t": "⇥"}


class OfTokens:
    """Takes answers int64 [n, T], one after each token of the first input."""

    def __init__(self, compared: Compared) -> None:
        self._compared = compared
        self._rows: list[torch.Tensor] = []
        self._total, self._judged = 0, not compared.compares_with_untouched

    def add(self, batch: Batch) -> None:
        before, after = batch.answers
        targets = torch.full_like(before, -1) if batch.targets is None else batch.targets
        outcomes = batch.outcomes()
        example, place = (outcomes != UNCHANGED).nonzero(as_tuple=True)
        columns = (each[example, place] for each in (targets, before, after, outcomes))
        self._rows.append(torch.stack([batch.index[example], place, *columns], dim=1))
        self._total += before.numel()

    def found(self, seen: int) -> Examples:
        rows = torch.cat(self._rows)
        return Examples(
            counted="next tokens" if self._answers_tokens() else "answers",
            total=self._total,
            counts=counts_of(rows[:, -1], judged=self._judged),
            examples=tuple(self._example(*row) for row in self._chosen(rows)),
            seen=seen,
            available=len(self._compared.workload.test),
        )

    def _chosen(self, rows: torch.Tensor) -> list[list[int]]:
        """Those to show, by outcome: the last in each example, before which most came, then the last but one."""
        groups = [_spread(rows[rows[:, -1] == outcome]) for outcome in range(len(OUTCOMES))]
        taken = shares(map(len, groups), self._compared.limit)
        return [row for group, count in zip(groups, taken, strict=True) for row in group[:count].tolist()]

    def _example(self, number: int, place: int, target: int, before: int, after: int, outcome: int) -> Example:
        (tokens, *_) = self._compared.workload.test.at(torch.tensor([number])).inputs
        return Example(
            number=number,
            outcome=OUTCOMES[outcome],
            inputs=(self._text(tokens[0], place),),
            target=self._answer(target) if target >= 0 else None,
            before=self._answer(before),
            after=self._answer(after),
        )

    def _answers_tokens(self) -> bool:
        """Whether an answer is a token, as the inputs are; a class of each token is one of fewer."""
        workload = self._compared.workload
        tokens = workload.test.parts[0].inputs[0]
        return workload.decode is not None and workload.output_shape[-1] > int(tokens.max())

    def _text(self, tokens: torch.Tensor, place: int) -> Shown:
        """What came before the answer."""
        decode = self._compared.workload.decode
        first = max(0, place + 1 - (_TEXT_BEFORE if decode else _NUMBERS_BEFORE))
        seen = tokens[first : place + 1]
        text = decode(seen) if decode else ", ".join(f"{value:.3g}" for value in seen.flatten().tolist())
        return Shown(text=("… " if first else "") + " ".join(text.split("\n")))

    def _answer(self, token: int) -> Shown:
        decode = self._compared.workload.decode
        if decode is None or token < 0 or not self._answers_tokens():
            return Shown(text=named(token, self._compared.workload.classes))
        text = decode(torch.tensor([token])) or f"token {token}"  # one that marks where a text ends
        return Shown(text="".join(_VISIBLE.get(each, each) for each in text))


def _spread(rows: torch.Tensor) -> torch.Tensor:
    """One of each example, by its number, then a second one of each that has one, and so on; the last places first."""
    longest = int(rows[:, 1].max()) + 1 if len(rows) else 1
    rows = rows[(rows[:, 0] * longest + longest - rows[:, 1]).argsort()]
    _, counts = rows[:, 0].unique_consecutive(return_counts=True)
    starts = (counts.cumsum(0) - counts).repeat_interleave(counts)
    return rows[(torch.arange(len(rows)) - starts).argsort(stable=True)]
