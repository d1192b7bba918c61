"""``workbench fetch``: real data and models for benchmarks, which aren't part of the workbench."""

from __future__ import annotations

import argparse
import sys

from workbench.models import fetched
from workbench.models.fetched import Fetched
from workbench.plumbing.words import size


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add ``fetch`` to the command line."""
    fetch = commands.add_parser("fetch", help="fetch real data or a real model; without a name, list what there is")
    fetch.set_defaults(command=_fetch)
    fetch.add_argument("name", nargs="?", metavar="NAME", help="what to fetch")
    fetch.add_argument("--debug", action="store_true", help="print the traceback of an error")


def _fetch(chosen: argparse.Namespace) -> int:
    if chosen.name is None:
        print("\n".join(map(_line, fetched.registered().values())))
        return 0
    thing = fetched.find(chosen.name)
    folder = fetched.fetch(thing, report=lambda line: print(f"· {line}", file=sys.stderr))
    print(f"· {thing.how_to_use()}", file=sys.stderr)
    print(folder)
    return 0


def _line(thing: Fetched) -> str:
    state = f"in {thing.folder}" if thing.is_there() else thing.how_to_get()
    source = f"{size(thing.package.size_bytes)}, {thing.package}, {thing.licence}"
    return f"{thing.name}: {thing.description}\n    {source}\n    {state}"
