"""Keeps a server quiet about pages that are closed while something is on its way to them."""

from __future__ import annotations

import logging


class WithoutClosedPages(logging.Filter):
    """Lets no record pass that only says that a page has gone.

    Tornado tells it to a task that Jupyter's server awaits nowhere, so asyncio prints it with a traceback.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is about anything else."""
        kind = record.exc_info[0] if record.exc_info else None
        return kind is None or kind.__name__ != "WebSocketClosedError"


LOGGING = {
    "filters": {"closed_pages": {"()": f"{__name__}.{WithoutClosedPages.__name__}"}},
    "loggers": {"asyncio": {"filters": ["closed_pages"]}},
}
"""For the ``logging_config`` of a Jupyter application."""
