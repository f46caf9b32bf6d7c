"""What a reader of one kind of node returns: a norm, times a power of ten, for one input."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from torch import Tensor

from unvanish.core.operations import Node

Scale = tuple[int, Tensor | None, float]
"""Position of an input, a tensor, decades: the scale is the tensor's norm, or 1, times them."""
Scales = Callable[[Node, Tensor], Iterator[Scale]]
"""Reads the scales of a node, given the gradient at its output."""
Signals = Callable[[Node, Tensor], Iterator[tuple[int, Tensor]]]
"""Reads, for the inputs that may be weights, what their gradient is the product with."""


def half_log(count: float) -> float:
    """Return log10 of the square root."""
    return 0.5 * math.log10(count) if count > 0 else math.nan
