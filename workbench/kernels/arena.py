"""The static memory plan: where each tensor lies in the arena, with memory reused once it is no longer read."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

_LINE = 64


@dataclass
class Storage:
    """Memory of one image's tensor, in use from step ``first`` to step ``last``.

    Borders are filled once when the arena is made. So a storage that has some shares its place only
    with storages of the same ``layout`` (then the borders coincide); ``None`` means it has none.
    """

    size_bytes: int
    layout: Hashable
    first: int
    last: int
    offset: int = -1


def plan(storages: list[Storage]) -> int:
    """Set every offset and return the arena's size in bytes per image.

    Largest first, each at the lowest free place: the greedy order that best suits layered models.
    """
    slots = _bordered_slots(storages)
    placed: list[Storage] = []
    for storage in sorted([*slots, *(s for s in storages if s.layout is None)], key=lambda s: -s.size_bytes):
        offset = 0
        for other in sorted(placed, key=lambda s: s.offset):
            together = storage.first <= other.last and other.first <= storage.last
            if together and offset + _whole(storage.size_bytes) > other.offset:
                offset = max(offset, other.offset + _whole(other.size_bytes))
        storage.offset = offset
        placed.append(storage)
    for slot in slots:
        for member in slots[slot]:
            member.offset = slot.offset
    return max((s.offset + _whole(s.size_bytes) for s in placed), default=0)


class _Slot(Storage):
    __hash__ = object.__hash__


def _bordered_slots(storages: list[Storage]) -> dict[_Slot, list[Storage]]:
    """Slots kept for the whole run, each serving storages of one layout one after the other."""
    slots: dict[_Slot, list[Storage]] = {}
    for storage in sorted((s for s in storages if s.layout is not None), key=lambda s: s.first):
        for slot, members in slots.items():
            if slot.layout == storage.layout and members[-1].last < storage.first:
                members.append(storage)
                break
        else:
            slots[_Slot(storage.size_bytes, storage.layout, 0, 1 << 60)] = [storage]
    return slots


def _whole(size_bytes: int) -> int:
    return -(-size_bytes // _LINE) * _LINE
