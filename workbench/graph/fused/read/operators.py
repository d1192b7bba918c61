"""The register of the operators that are read, by overload: an operator of another namespace is never one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Operator:
    """How calls of an operator are read.

    ``read`` is called with the reader, the node and its arguments. ``takes_views``: it knows tensors that are another
    look at memory; any other gets values. ``live``: so many arguments may depend on the model's input, the first ones.
    """

    read: Callable[..., Any]
    takes_views: bool
    live: int


OPERATORS: dict[Any, Operator] = {}
"""By an overload's full name ("aten.conv2d.default"), or by function."""


def reads(*operators: Any, views: bool = False, live: int = 1) -> Callable[[Callable], Callable]:
    """Register a method of the reader for these operators; see :class:`Operator`."""

    def register(method: Callable) -> Callable:
        OPERATORS.update(dict.fromkeys(operators, Operator(method, views, live)))
        return method

    return register
