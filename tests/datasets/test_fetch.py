import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from workbench.datasets import fashion_mnist, fetch
from workbench.errors import WorkloadError


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def address(originals: Path) -> Iterator[str]:
    """A server of its own, on this machine alone, that offers the files."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(originals))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_files_are_fetched_once_and_then_come_from_the_cache(address: str, originals: Path, tmp_path: Path):
    images, _ = fashion_mnist.full(address, cache=tmp_path / "cache")
    for path in originals.iterdir():
        path.unlink()
    again, _ = fashion_mnist.full(address, cache=tmp_path / "cache")
    assert (images == again).all()


def test_progress_ends_with_all_bytes_of_each_file(address: str, originals: Path, tmp_path: Path):
    last = {}
    fashion_mnist.full(address, cache=tmp_path / "cache", progress=lambda name, *counts: last.update({name: counts}))
    sizes = {name: (originals / name).stat().st_size for name in last}
    assert last == {name: (size, size) for name, size in sizes.items()}
    assert len(last) == 2


def test_a_damaged_file_in_the_cache_is_fetched_again(address: str, tmp_path: Path):
    damaged = tmp_path / "cache" / "train-images-idx3-ubyte.gz"
    damaged.parent.mkdir()
    damaged.write_bytes(b"damaged")
    images, _ = fashion_mnist.full(address, cache=tmp_path / "cache")
    assert len(images) == 30


def test_a_wrong_file_from_the_server_never_reaches_the_cache(address: str, originals: Path, tmp_path: Path):
    (originals / "train-images-idx3-ubyte.gz").write_bytes(b"not the original")
    with pytest.raises(WorkloadError, match="is not the original"):
        fashion_mnist.full(address, cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_address_without_the_file_is_named(address: str, tmp_path: Path):
    with pytest.raises(WorkloadError, match=r"/nowhere/train-images-idx3-ubyte\.gz can't be fetched"):
        fashion_mnist.full(f"{address}/nowhere", cache=tmp_path / "cache")


def test_an_address_nobody_answers_at_is_named(tmp_path: Path):
    with pytest.raises(WorkloadError, match=r"can't be fetched \("):
        fashion_mnist.full("http://127.0.0.1:9", cache=tmp_path / "cache")


def test_a_cache_that_can_not_be_written_is_named(address: str, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WorkloadError, match="can't be written"):
        fashion_mnist.full(address, cache=tmp_path / "file" / "cache")


def test_the_bar_says_when_a_file_is_complete(capsys: pytest.CaptureFixture[str]):
    fetch.bar("images.gz", 1_000_000, 2_000_000)
    fetch.bar("images.gz", 2_000_000, 2_000_000)
    assert capsys.readouterr().err == "images.gz: 2.0 of 2.0 MB\n"
