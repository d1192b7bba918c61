"""What goes wrong around the page is said on it in words, and it goes on working."""

from __future__ import annotations

import pytest

from tests.browser import the_page


@pytest.mark.parametrize("host", ["voila"], indirect=True, scope="session")  # what happens is the same in the other
def test_a_killed_worker_is_said_in_words_and_the_next_toggle_works(plain, host, picture):
    the_page.train(plain)
    for worker in host.server.workers():
        worker.kill()
    the_page.phase(plain, "failed")
    picture(plain, f"{host.name}-error")
    said = plain.get_by_role("alert").filter(has_text="killed by signal 9")
    assert "restarted: run it again" in said.inner_text()
    the_page.turn(plain, "Distill", False)
    the_page.turn(plain, "Quantize", True)
    the_page.finished(plain)
    assert said.count() == 0
