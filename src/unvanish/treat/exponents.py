"""What exponentials that multiply a signal are given, where that is made, and a bound on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.places import SourceLine

EXPONENTIALS: Final = frozenset({"exp", "expm1"})
"""Functions whose result grows as the exponential of their argument."""


@dataclass(frozen=True, slots=True)
class Maker:
    """A call that makes a tensor.

    Attributes:
        path: Path of the module in whose forward it stands.
        function: What is called.
        call: Which call of it in one forward, from 0.
        element: Which of the tensors that it returns.
    """

    path: str
    function: str
    call: int
    element: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exponent:
    """What one exponential is given.

    Attributes:
        path: Path of the module in whose forward the exponential is taken.
        function: ``"exp"`` or ``"expm1"``.
        line: The user's line.
        largest: The largest number it is given on this batch.
        maker: Where to bound it.
        behind: Whether that is behind the call of `maker`; else before that call, which is then
            the exponential itself.
        factor: What the exponential is given is this times what the maker makes.
        series: How many exponentials multiply one signal at the most, one behind the other.
    """

    path: str
    function: str
    line: SourceLine | None
    largest: float
    maker: Maker
    behind: bool
    factor: float
    series: int


class Bound(nn.Module):
    """Keeps numbers within a bound, softly: small ones pass nearly as they are.

    Args:
        bound: The largest number that comes out.
    """

    def __init__(self, bound: float) -> None:
        super().__init__()
        self.bound = bound

    def forward(self, given: Any) -> Any:
        """Return the bounded numbers; what is no tensor of real numbers as it is."""
        if not isinstance(given, Tensor) or not given.is_floating_point():
            return given
        return self.bound * torch.tanh(given / self.bound)

    def extra_repr(self) -> str:
        """Return the bound."""
        return f"{self.bound:g}"
