"""A gradient for comparisons: what is made of a truth value learns what was compared.

A truth value has no gradient. It is remembered what was compared with what, through views, sums
and logic, as long as the network's forward runs. Where it is made a number, or chooses between two
values, what comes out stays as it is and gets the gradient of a soft step.
"""

from __future__ import annotations

from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn

from unvanish.core.errors import UnvanishError
from unvanish.treat.compared import ComparisonScope
from unvanish.treat.relay import Relay


class Comparisons(Relay):
    """Remembers what was compared, as long as a forward runs."""

    __slots__ = ("_scopes",)

    def __init__(self) -> None:
        super().__init__()
        self._scopes: dict[int, list[ComparisonScope]] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Comparisons:
        twin = Comparisons()
        memo[id(self)] = twin
        return twin

    def __reduce__(self) -> tuple[type[Comparisons], tuple[()]]:
        return Comparisons, ()

    def enter(self) -> None:
        """Begin a forward."""
        scope = ComparisonScope()
        scope.__enter__()  # type: ignore[no-untyped-call]
        self._scopes.setdefault(get_ident(), []).append(scope)

    def leave(self) -> None:
        """End it, and forget what was compared."""
        scopes = self._scopes[get_ident()]
        scopes.pop().__exit__(None, None, None)  # type: ignore[no-untyped-call]
        if not scopes:
            del self._scopes[get_ident()]

    def expect(self, compared: Tensor, width: float) -> None:
        """Take note that the comparison of a tensor is to have a gradient.

        Args:
            compared: Its first argument.
            width: The width of the soft step.

        Raises:
            UnvanishError: If a part of the network is run again for its backward pass.
        """
        scopes = self._scopes.get(get_ident())
        if scopes:
            scopes[-1].expect(compared, width)
        elif torch._C._current_graph_task_id() != -1:
            raise UnvanishError(
                "a comparison that was given a gradient stands in a checkpointed part of the "
                "network",
                help="leave the checkpoint out",
            )


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
