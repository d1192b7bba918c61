"""Take the embedded novels out of r-cran-janeaustenr: ``python -m workbench.datasets.embed_austen Rdata.rdb``."""

from __future__ import annotations

import argparse
import lzma
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from workbench.datasets import austen
from workbench.datasets.cards import DataCard, File

PACKAGE = "r-cran-janeaustenr_1.0.0-1_all.deb"
MEMBER = "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb"
_STRINGS, _STRING = 16, 9  # R's numbers of a vector of strings and of one, in the low byte of their flags
_HEADER_BYTES = 23  # "X\n", format, two versions of R, the encoding's length and "UTF-8"


def objects(database: bytes) -> Iterator[bytes]:
    """The serialised objects of a lazy-load database of R, each stored as its length and a zlib stream."""
    while database:
        stream = zlib.decompressobj()
        yield stream.decompress(database[4:])
        database = stream.unused_data


def lines(serialised: bytes) -> list[bytes]:
    """The strings of a character vector that R serialised.

    Source: "R Internals", section 1.8, "Serialization Formats": XDR, version 3.
    """
    flags, count = struct.unpack_from(">ii", serialised, _HEADER_BYTES)
    if flags & 0xFF != _STRINGS:
        raise ValueError(f"R's type {flags & 0xFF} is no vector of strings")
    found, at = [], _HEADER_BYTES + 8
    for _ in range(count):
        flags, length = struct.unpack_from(">ii", serialised, at)
        if flags & 0xFF != _STRING:
            raise ValueError(f"R's type {flags & 0xFF} is no string")
        found.append(serialised[at + 8 : at + 8 + length])
        at += 8 + length
    return found


def embed(database: Path, folder: Path = austen.EMBEDDED) -> DataCard:
    """Write the novels and their card into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {}
    for novel in map(lines, objects(database.read_bytes())):
        title = novel[0].decode()
        if title in austen.NOVELS:
            text = b"".join(line + b"\n" for line in novel)
            (folder / austen.NOVELS[title]).write_bytes(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME))
            sizes[title] = len(text)
    card = DataCard(
        name="austen",
        description="Emma (1815) and Pride and Prejudice (1813) by Jane Austen; examples are bytes",
        source=f"Project Gutenberg, by way of the R package janeaustenr: {MEMBER} in Debian's {PACKAGE}",
        licence="public domain: the author died in 1817; what janeaustenr itself adds is MIT and isn't copied",
        made="apt-get download r-cran-janeaustenr; dpkg -x; python -m workbench.datasets.embed_austen Rdata.rdb",
        files=tuple(File.of(folder / name) for name in austen.NOVELS.values()),
        input_shape=(),
        input_dtype="uint8",
        examples=sizes,
    )
    card.write(folder / "card.json")
    return card


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m workbench.datasets.embed_austen", description=__doc__)
    parser.add_argument("database", type=Path, help=f"{MEMBER} of {PACKAGE}")
    print(embed(parser.parse_args(arguments).database).examples)


if __name__ == "__main__":
    main()
