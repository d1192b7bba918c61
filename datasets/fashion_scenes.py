"""Scenes of two to four garments each, composed of Fashion-MNIST's images, with the kind of garment at each pixel."""

from __future__ import annotations

import numpy as np

from workbench.datasets import fashion_mnist

CLASSES = ("background", "top", "trousers", "dress", "shoe", "bag")
SIDE = 56
"""Pixels along each side of a scene."""
SCENES = {"train": 2000, "test": 500}
SEEDS = {"train": 0, "test": 1}
FEWEST, MOST = 2, 4
"""Garments in a scene."""
FAINTEST = 32
"""The least grey of 255 that belongs to a garment."""

_TOP, _TROUSERS, _DRESS, _SHOE, _BAG = range(1, 6)
KINDS = np.array([_TOP, _TROUSERS, _TOP, _DRESS, _TOP, _SHOE, _TOP, _SHOE, _BAG, _SHOE], np.uint8)
"""The class in a scene of each of Fashion-MNIST's."""

Scenes = tuple[np.ndarray, np.ndarray]
"""Images uint8 [N, 56, 56] and the class of each pixel, uint8 [N, 56, 56]."""


def test() -> Scenes:
    """500 scenes of test images."""
    return compose(*fashion_mnist.test(), SCENES["test"], SEEDS["test"])


def train() -> Scenes:
    """2,000 scenes of images from the embedded training part."""
    return compose(*fashion_mnist.train(), SCENES["train"], SEEDS["train"])


def compose(images: np.ndarray, labels: np.ndarray, count: int, seed: int) -> Scenes:
    """Lay garments at random places; where two meet, the later covers the earlier.

    ``RandomState`` draws the same numbers in every version of NumPy, which ``Generator`` doesn't promise.
    """
    draw = np.random.RandomState(seed)
    height, width = images.shape[1:]
    scenes, classes = np.zeros((2, count, SIDE, SIDE), np.uint8)
    for scene, classes_here in zip(scenes, classes, strict=True):
        for _ in range(draw.randint(FEWEST, MOST + 1)):
            which = draw.randint(len(images))
            row, column = draw.randint(SIDE - height + 1), draw.randint(SIDE - width + 1)
            place = slice(row, row + height), slice(column, column + width)
            inside = images[which] >= FAINTEST
            scene[place][inside] = images[which][inside]
            classes_here[place][inside] = KINDS[labels[which]]
    return scenes, classes
