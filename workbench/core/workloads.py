"""The workloads a worker knows: as they were sent, and the last few of them in memory."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Iterable

import torch

from workbench import models
from workbench.errors import WorkbenchError
from workbench.workload import LoadedWorkload, Workload


class Workloads:
    """Least recently used ones leave memory when ``budget_bytes`` is exceeded, but never the one used last.

    One that left is loaded again from what was sent when it is asked for.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._pickled: dict[int, bytes] = {}
        self._loaded: OrderedDict[int, LoadedWorkload] = OrderedDict()

    def __contains__(self, token: int) -> bool:
        """Whether it is in memory."""
        return token in self._loaded

    def keep(self, token: int, pickled: bytes) -> None:
        """Keep a workload's pickled description until a run needs it."""
        self._pickled[token] = pickled

    def keep_only(self, tokens: Iterable[int]) -> set[str]:
        """Let go of all others; returns the keys of those that are then no longer in memory."""
        before = {workload.key for workload in self._loaded.values()}
        for token in self._pickled.keys() - set(tokens):
            del self._pickled[token]
            self._loaded.pop(token, None)
        return before - {workload.key for workload in self._loaded.values()}

    def get(self, token: int) -> LoadedWorkload:
        """The workload in memory, loading it where that is needed.

        Raises
        ------
        WorkbenchError
            When it can't be used, in one line for the person.
        """
        if token not in self._loaded:
            try:
                description: Workload = pickle.loads(self._pickled[token])  # from our own parent, over its pipe
            except (AttributeError, ImportError, pickle.UnpicklingError) as error:
                raise WorkbenchError(f"the model or its data couldn't be passed to the worker: {error}") from error
            self._loaded[token] = models.load(description)
        self._loaded.move_to_end(token)
        while len(self._loaded) > 1 and sum(map(_size_bytes, self._loaded.values())) > self._budget_bytes:
            self._loaded.popitem(last=False)
        return self._loaded[token]


def _size_bytes(workload: LoadedWorkload) -> int:
    """What its weights and examples take."""
    examples = [*workload.test.tensors(), *workload.train.tensors()]
    tensors: list[torch.Tensor] = [*workload.module.parameters(), *workload.module.buffers(), *examples]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
