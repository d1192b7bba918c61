import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from workbench.datasets import fashion_mnist


@pytest.fixture
def originals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with four small files in the originals' form, which count as the originals in this test."""
    images = np.random.default_rng(0).integers(0, 256, (30, 28, 28), dtype=np.uint8)
    labels = (np.arange(30) % 10).astype(np.uint8)
    folder, sums = tmp_path / "originals", {}
    folder.mkdir()
    for name in fashion_mnist.DECODED_SHA256:
        content = fashion_mnist.encode(images if "images" in name else labels)
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        sums[name] = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(fashion_mnist, "DECODED_SHA256", sums)
    return folder
