from __future__ import annotations

import os
import subprocess
import sys
import time

from workbench.measure.crowding import Crowding

BUSY = [sys.executable, "-c", "while True: pass"]


def test_another_program_that_computes_is_noticed():
    others = [subprocess.Popen(BUSY) for _ in range(2)]
    try:
        crowding = Crowding()
        time.sleep(1)  # what is measured is what happens in this second
        assert crowding.share() > 0.5 / (os.cpu_count() or 1)  # one loop alone would come to 1 of all cores
    finally:
        for other in others:
            other.kill()


def test_our_own_computing_is_not_counted_as_others():
    crowding = Crowding()
    end = time.monotonic() + 1
    while time.monotonic() < end:
        pass
    (_, everyone_before, own_before), (_, everyone, own) = crowding._started, crowding._now()
    others_s = (everyone - everyone_before) - (own - own_before)
    assert own - own_before > 0.1
    assert crowding.share() <= max(others_s, 0.1)  # psutil counts in hundredths of a second
