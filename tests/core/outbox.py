from __future__ import annotations


class Kept:
    """An outbox that keeps everything."""

    def __init__(self) -> None:
        self.events = []

    def event(self, event, result_key="") -> None:
        self.events.append(event)
