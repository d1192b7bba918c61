"""Make the embedded part of Fashion-MNIST: ``python -m workbench.datasets.embed FOLDER``."""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import numpy as np

from workbench.datasets import fashion_mnist
from workbench.datasets.cards import DataCard, File

PER_CLASS = 2000  # with the weights, the largest round number that keeps the folder near 17 MB


def first_of_each_class(labels: np.ndarray, per_class: int) -> np.ndarray:
    """The indices of the first ``per_class`` examples of each class, in ascending order."""
    classes = np.unique(labels)
    return np.sort(np.concatenate([np.flatnonzero(labels == one)[:per_class] for one in classes]))


def embed(originals: Path, folder: Path, per_class: int = PER_CLASS) -> DataCard:
    """Write the whole test set, a balanced training part and their card into ``folder``.

    The files are IDX, gzipped with no time stamp, so the same originals give the same bytes.
    """
    images, labels = fashion_mnist.full(originals)
    chosen = first_of_each_class(labels, per_class)
    test_images, test_labels = (
        fashion_mnist.read_original(originals / f"t10k-{kind}-ubyte.gz") for kind in ("images-idx3", "labels-idx1")
    )
    contents = {
        "train-part-images-idx3-ubyte.gz": images[chosen],
        "train-part-labels-idx1-ubyte.gz": labels[chosen],
        "t10k-images-idx3-ubyte.gz": test_images,
        "t10k-labels-idx1-ubyte.gz": test_labels,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in contents.items():
        (folder / name).write_bytes(gzip.compress(fashion_mnist.encode(values), 9, mtime=0))
    card = DataCard(
        name="fashion-mnist",
        description="grey 28×28 images of clothes in ten classes: the whole test set and a balanced training part",
        source="https://github.com/zalandoresearch/fashion-mnist",
        licence="MIT, © 2017 Zalando SE; the notice is in the file LICENSE beside this card",
        made="python -m workbench.datasets.embed FOLDER, FOLDER holding the four original files",
        files=tuple(File.of(folder / name) for name in contents),
        classes=fashion_mnist.CLASSES,
        input_shape=(1, 28, 28),
        examples={"train": len(chosen), "test": len(test_images)},
        per_class={"train": per_class, "test": int(np.bincount(test_labels).min())},
    )
    card.write(folder / "card.json")
    return card


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m workbench.datasets.embed", description=__doc__)
    parser.add_argument("originals", type=Path, help="folder with the four original .gz files")
    parser.add_argument("--out", type=Path, default=fashion_mnist.EMBEDDED, help="where to write; in place by default")
    options = parser.parse_args(arguments)
    card = embed(options.originals, options.out)
    print(f"{card.examples}, {sum(file.size_bytes for file in card.files) / 1e6:.1f} MB in {options.out}")


if __name__ == "__main__":
    main()
