import zipfile
from pathlib import Path

import numpy as np

from workbench.datasets import co2, data_card, embed_co2


def test_there_is_a_week_between_any_two_values():
    days, _ = co2.weekly()
    assert (str(days[0]), str(days[-1])) == ("1958-03-29", "2001-12-29")
    assert set(np.diff(days).astype(int)) == {7}


def test_weeks_without_a_value_hold_none():
    _, ppm = co2.weekly()
    card = data_card("co2")
    assert (len(ppm), int(np.isfinite(ppm).sum())) == (card.examples["weeks"], card.examples["weeks with a value"])
    assert (ppm[0], ppm[-1], np.isnan(ppm[6])) == (316.1, 371.5, True)


def test_embedding_takes_the_file_as_it_is_in_the_wheel(tmp_path: Path):
    wheel = tmp_path / "statsmodels.whl"
    original = (co2.EMBEDDED / co2.FILE).read_bytes()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(embed_co2.MEMBER, original)
    assert embed_co2.embed(wheel, tmp_path / "out") == data_card("co2")
    assert (tmp_path / "out" / co2.FILE).read_bytes() == original
