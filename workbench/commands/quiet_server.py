"""Runs a Jupyter server that doesn't print what is no news to the person who started it.

``python -m workbench.commands.quiet_server voila …`` is ``python -m voila …`` without warnings for the developers of
libraries, and without a traceback for each page that is closed while something is on its way to it.
"""

from __future__ import annotations

import logging
import runpy
import sys


class WithoutClosedPages(logging.Filter):
    """Lets no record pass that only says that a page has gone.

    Tornado tells it to a task that Jupyter's server awaits nowhere, so asyncio prints it with a traceback.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is about anything else."""
        kind = record.exc_info[0] if record.exc_info else None
        return kind is None or kind.__name__ != "WebSocketClosedError"


def main() -> None:
    """Run the module named first, with the arguments after it."""
    logging.captureWarnings(True)  # not by a filter: libraries that are imported later set their own
    logging.getLogger("py.warnings").propagate = False
    logging.getLogger("py.warnings").addHandler(logging.NullHandler())
    logging.getLogger("tornado.general").setLevel(logging.ERROR)  # it mends a setting of Jupyter's, and says so
    logging.getLogger("asyncio").addFilter(WithoutClosedPages())
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
