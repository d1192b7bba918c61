from __future__ import annotations

import threading

from workbench.widgets import Downloads
from workbench.widgets.page import pump


def test_whatever_goes_wrong_in_saving_is_shown_and_can_be_tried_again():
    def save(directory):
        raise RuntimeError("the pipe broke")

    downloads = Downloads(save=save, state="ready")
    downloads.wanted += 1
    for thread in threading.enumerate():
        if thread.name == "save-model":
            thread.join()
    pump.shared().flush()
    assert downloads.state == "ready"
    assert downloads.error == "the model couldn't be saved: RuntimeError: the pipe broke"
