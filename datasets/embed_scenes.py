"""Write the card of the scenes composed of Fashion-MNIST: ``python -m workbench.datasets.embed_scenes``."""

from __future__ import annotations

import hashlib

from workbench.datasets import fashion_scenes
from workbench.datasets.cards import FOLDER, DataCard


def sha256(scenes: fashion_scenes.Scenes) -> str:
    """Of the images' bytes and then of the classes'."""
    return hashlib.sha256(b"".join(part.tobytes() for part in scenes)).hexdigest()


def main() -> None:
    """Compose both parts and write what they are."""
    parts = {"train": fashion_scenes.train(), "test": fashion_scenes.test()}
    folder = FOLDER / "fashion-scenes"
    folder.mkdir(exist_ok=True)
    DataCard(
        name="fashion-scenes",
        description="56×56 scenes of two to four garments each, with the kind of garment at each pixel",
        source="composed of fashion-mnist when they are read: test scenes of its test images, others of its training "
        "part; there is no file",
        licence="MIT, © 2017 Zalando SE; the notice is in the folder fashion-mnist",
        made="python -m workbench.datasets.embed_scenes",
        files=(),
        classes=fashion_scenes.CLASSES,
        input_shape=(1, fashion_scenes.SIDE, fashion_scenes.SIDE),
        examples={part: len(images) for part, (images, _) in parts.items()},
        composed={part: sha256(scenes) for part, scenes in parts.items()},
    ).write(folder / "card.json")


if __name__ == "__main__":
    main()
