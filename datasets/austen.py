"""Two novels of Jane Austen, as the R package janeaustenr has them: its lines, each with a line feed."""

from __future__ import annotations

import lzma

from workbench.datasets.cards import FOLDER

EMBEDDED = FOLDER / "austen"
NOVELS = {"EMMA": "emma.txt.xz", "PRIDE AND PREJUDICE": "pride-and-prejudice.txt.xz"}
"""The first line of each, which is its title, and the file it is kept in."""


def novels() -> dict[str, bytes]:
    """The text of each novel by its title, in ASCII but for a few letters in UTF-8."""
    return {title: lzma.decompress((EMBEDDED / name).read_bytes()) for title, name in NOVELS.items()}
