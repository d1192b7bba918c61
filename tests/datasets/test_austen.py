import struct
import zlib
from pathlib import Path

import pytest

from workbench.datasets import austen, data_card, embed_austen


def serialised(lines: list[bytes]) -> bytes:
    """As R would serialise a character vector: XDR, version 3."""
    header = b"X\n" + struct.pack(">iiii", 3, 0x040201, 0x030500, 5) + b"UTF-8"
    strings = b"".join(struct.pack(">ii", 0x00040009, len(line)) + line for line in lines)
    return header + struct.pack(">ii", 16, len(lines)) + strings


def test_each_novel_is_whole():
    novels = austen.novels()
    assert {title: len(text) for title, text in novels.items()} == data_card("austen").examples
    assert b"handsome, clever, and rich" in novels["EMMA"]
    assert b"It is a truth universally acknowledged" in novels["PRIDE AND PREJUDICE"]
    assert novels["EMMA"].rstrip().endswith(b"FINIS")


def test_embedding_takes_the_novels_out_of_a_database_of_r_and_leaves_others(tmp_path: Path):
    texts = [[b"PERSUASION", b"left out"], [b"EMMA", b"", b"By Jane Austen"], [b"PRIDE AND PREJUDICE", b"Chapter 1"]]
    stored = [serialised(lines) for lines in texts]
    database = tmp_path / "Rdata.rdb"
    database.write_bytes(b"".join(struct.pack(">I", len(each)) + zlib.compress(each) for each in stored))
    card = embed_austen.embed(database, tmp_path)
    assert card.examples == {"EMMA": 21, "PRIDE AND PREJUDICE": 30}
    assert {file.name for file in card.files} == {path.name for path in tmp_path.glob("*.xz")}


def test_what_is_no_vector_of_strings_is_refused():
    with pytest.raises(ValueError, match="R's type 13 is no vector of strings"):
        embed_austen.lines(serialised([]).replace(struct.pack(">ii", 16, 0), struct.pack(">ii", 13, 0)))
