"""What tests ask of a receipt's rows."""

from __future__ import annotations

from workbench.engines.native.pick.keep import KEPT
from workbench.receipt import LayerReceipt


def is_int8(row: LayerReceipt) -> bool:
    """Whether a layer is int8 and multiplied as that, but for one that native found to be slower that way here."""
    computed = (row.compute_dtype, row.reality) == ("int8", "real") or row.reason == KEPT
    return row.after.dtype == "int8" and computed
