"""Workloads made ready to be sent to a worker: pickled once, under a number."""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass, replace
from typing import Any

import cloudpickle

from workbench.errors import WorkbenchError, WorkloadError
from workbench.machine import memory
from workbench.plumbing.words import one_line
from workbench.session.moment import digest
from workbench.workload import Workload

_COPIES_OF_MODEL = memory.COPIES_OF_MODEL + 2  # pickled here and there, before it is unpickled
_KEPT, _KEPT_BYTES = 8, 2**28
"""Embedded workloads are a name, a few hundred bytes; a large model of one's own leaves room for itself alone."""


@dataclass(frozen=True)
class Parcel:
    """A pickled workload and the number the worker knows it by."""

    token: int
    workload: Workload
    moment: bytes
    pickled: bytes


class Parcels:
    """The last few workloads that were packed, within a budget; going back to one that is as it was is quick."""

    def __init__(self) -> None:
        self._tokens = itertools.count(1)
        self._recent: list[Parcel] = []

    def pack(self, workload: Workload) -> Parcel:
        """The parcel of this workload.

        Raises :class:`WorkloadError` when it is none, can't be pickled, or its model is too large for memory.
        """
        if not isinstance(workload, Workload):  # what is kept here is compared with every workload that comes later
            raise WorkloadError(
                f"what is run is a Workload or the name of an embedded one, not {type(workload).__name__}; "
                "for a model of your own: wb.Workload(model, data=(inputs, labels))"
            )
        before = next((parcel for parcel in self._recent if _same(parcel.workload, workload)), None)
        if before and workload.is_a_name:
            return before
        try:
            sent = _unwrapped(workload)
            if before is None:
                _refuse_beyond_memory(sent.model)
            moment = digest(sent)
            if before and before.moment == moment:
                return before
            pickled = cloudpickle.dumps(sent)
        except WorkbenchError:
            raise
        except Exception as error:  # a model may hold anything, and anything may refuse in its own way
            raise WorkloadError(
                f"the model or its data can't be sent to the worker: {one_line(error)}; "
                "define it in a module or simplify it"
            ) from error
        parcel = Parcel(next(self._tokens), workload, moment, pickled)
        others = [each for each in self._recent if each is not before]  # nobody can ask for what it was any more
        recent = [*others, parcel][-_KEPT:]
        while len(recent) > 1 and sum(len(each.pickled) for each in recent) > _KEPT_BYTES:
            recent.pop(0)
        self._recent = recent
        return parcel

    def tokens(self) -> set[int]:
        """Of those that are kept."""
        return {parcel.token for parcel in self._recent}


def _refuse_beyond_memory(model: Any) -> None:
    torch = sys.modules.get("torch")  # whoever made a module has it imported; for a name nobody has to
    if torch and isinstance(model, torch.nn.Module):
        needed_bytes = _COPIES_OF_MODEL * memory.module_bytes(model)
        memory.refuse_beyond_memory(f"the model {type(model).__name__}", needed_bytes)


def _unwrapped(workload: Workload) -> Workload:
    """The workload with its module out of what is wrapped around it and can't be pickled."""
    torch = sys.modules.get("torch")  # as above
    if not (torch and isinstance(workload.model, torch.nn.Module)):
        return workload
    from workbench.models import intake

    return replace(workload, model=intake.unwrapped(workload.model))


def _same(one: Workload, other: Workload) -> bool:
    """Whether it is the same description, which says nothing about what it describes at this moment."""
    return one is other or (one.is_a_name and other.is_a_name and one == other)
