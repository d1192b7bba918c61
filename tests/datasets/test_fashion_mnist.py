import gzip
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from workbench.datasets import data_card, embed, fashion_mnist
from workbench.errors import WorkloadError


def test_the_decoded_test_set_is_the_original_to_the_byte():
    images, labels = fashion_mnist.test()
    for name, values in (("t10k-images-idx3-ubyte", images), ("t10k-labels-idx1-ubyte", labels)):
        assert hashlib.sha256(fashion_mnist.encode(values)).hexdigest() == fashion_mnist.DECODED_SHA256[name]


def test_the_embedded_training_part_holds_each_class_equally_often():
    images, labels = fashion_mnist.train()
    card = data_card("fashion-mnist")
    assert images.shape == (card.examples["train"], 28, 28)
    assert np.bincount(labels).tolist() == [card.per_class["train"]] * 10


def test_loading_imports_no_torch():
    program = (
        "import sys; from workbench.datasets import fashion_mnist as f; f.test(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_the_full_set_is_read_from_a_folder(originals: Path):
    images, labels = fashion_mnist.full(originals)
    assert (images.shape, labels.tolist()) == ((30, 28, 28), [*range(10)] * 3)


def test_the_full_set_is_read_from_one_of_its_files_and_unzipped_ones(originals: Path):
    zipped = originals / "train-images-idx3-ubyte.gz"
    zipped.with_suffix("").write_bytes(gzip.decompress(zipped.read_bytes()))
    zipped.unlink()
    images, _ = fashion_mnist.full(originals / "train-images-idx3-ubyte")
    assert len(images) == 30


def test_a_missing_original_is_named(tmp_path: Path):
    with pytest.raises(WorkloadError, match=r"has no train-images-idx3-ubyte\.gz; download it from http"):
        fashion_mnist.full(tmp_path)


def test_a_file_that_is_not_the_original_is_refused(originals: Path):
    (originals / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"something else"))
    with pytest.raises(WorkloadError, match="is not the original"):
        fashion_mnist.full(originals)


def test_a_file_cut_short_is_refused(originals: Path):
    path = originals / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WorkloadError, match="can't be read"):
        fashion_mnist.full(originals)


def test_embedding_takes_the_first_of_each_class_and_gives_the_same_bytes_again(originals: Path, tmp_path: Path):
    first = embed.embed(originals, tmp_path / "one", per_class=2)
    second = embed.embed(originals, tmp_path / "two", per_class=2)
    assert first == second
    labels = fashion_mnist.decode(gzip.decompress((tmp_path / "one" / "train-part-labels-idx1-ubyte.gz").read_bytes()))
    assert labels.tolist() == [*range(10)] * 2
