"""Which test examples a variant answers otherwise than the untouched model: found anew for a variant, and shown."""

from workbench.core.examples.find import Compared, find

__all__ = ["Compared", "find"]
