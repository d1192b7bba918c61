from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil

from workbench.machine.crowding import Crowding

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


def test_a_system_that_shows_nothing_but_zeros_is_not_taken_for_a_crowded_one(monkeypatch):
    nothing = psutil.cpu_times()._replace(**dict.fromkeys(psutil.cpu_times()._fields, 0.0))
    monkeypatch.setattr(psutil, "cpu_times", lambda: nothing)
    crowding = Crowding()
    time.sleep(0.01)
    assert crowding.share() == 0


def test_moments_one_after_the_other_add_up_to_what_the_whole_tells():
    whole, parts = Crowding(), 0.0
    for _ in range(20):
        part = Crowding()
        end = time.monotonic() + 0.01
        while time.monotonic() < end:
            pass
        parts += part.taken_s()
    # The counts go on in hundredths of a second for each core; what falls between two parts takes some microseconds.
    assert abs(parts - whole.taken_s()) < 0.02 * (os.cpu_count() or 1)
