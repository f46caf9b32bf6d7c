"""A gradient for comparisons: what is made of a truth value learns what was compared.

A truth value has no gradient. It is remembered what was compared with what, through views, sums
and logic, as long as the network's forward runs. Where it is made a number, or chooses between two
values, what comes out stays as it is and gets the gradient of a soft step.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from unvanish.treat.compared import ComparisonScope
from unvanish.treat.remembering import Remembering


class Comparisons(Remembering):
    """Remembers what was compared, as long as a forward runs."""

    __slots__ = ()

    opens: ClassVar[type[ComparisonScope]] = ComparisonScope
    what: ClassVar[str] = "comparison"


class Compared(nn.Module):
    """Called with the first argument of a comparison that is to have a gradient; returns it.

    Args:
        comparisons: What remembers it.
        width: The width of the soft step.
    """

    def __init__(self, comparisons: Comparisons, width: float) -> None:
        super().__init__()
        self.comparisons, self.width = comparisons, width

    def forward(self, compared: Tensor) -> Tensor:
        """Return what is compared."""
        if compared.is_floating_point():
            self.comparisons.expect(compared, self.width)
        return compared

    def extra_repr(self) -> str:
        """Return the width."""
        return f"width={self.width:g}"
