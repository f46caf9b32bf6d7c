"""A derivative within a forward that stays a part of the graph: `create_graph=True`."""

from __future__ import annotations

from typing import Any, Final

from torch import nn

GRAD: Final = "grad"
"""Name of `torch.autograd.grad`, and of reading ``x.grad``, which has no such argument."""

ARGUMENT: Final = 4
"""Where ``create_graph`` stands among its arguments, from 0."""


class CreateGraph(nn.Module):
    """Says whether a derivative is to carry a gradient itself: yes, as long as it trains."""

    def forward(self, create_graph: Any) -> Any:
        """Return True in training mode, and what was asked for in evaluation."""
        return True if self.training else create_graph
