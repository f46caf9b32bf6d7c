"""A gradient for choices: what looks up a chosen index learns the scores it was chosen by.

An index is a whole number and has no gradient. It is remembered which scores it was chosen by,
through views, slices and concatenations, as long as the network's forward runs. Where it looks
something up, what comes out stays as it is and gets the gradient of the softmax of the scores times
what could have been looked up.
"""

from __future__ import annotations

from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn

from unvanish.core.errors import UnvanishError
from unvanish.treat.chosen import ChoiceScope
from unvanish.treat.relay import Relay


class Choices(Relay):
    """Remembers what was chosen by which scores, as long as a forward runs."""

    __slots__ = ("_scopes",)

    def __init__(self) -> None:
        super().__init__()
        self._scopes: dict[int, list[ChoiceScope]] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Choices:
        twin = Choices()
        memo[id(self)] = twin
        return twin

    def __reduce__(self) -> tuple[type[Choices], tuple[()]]:
        return Choices, ()

    def enter(self) -> None:
        """Begin a forward."""
        scope = ChoiceScope()
        scope.__enter__()  # type: ignore[no-untyped-call]
        self._scopes.setdefault(get_ident(), []).append(scope)

    def leave(self) -> None:
        """End it, and forget what was chosen."""
        scopes = self._scopes[get_ident()]
        scopes.pop().__exit__(None, None, None)  # type: ignore[no-untyped-call]
        if not scopes:
            del self._scopes[get_ident()]

    def expect(self, scores: Tensor, temperature: float) -> None:
        """Take note that a choice by these scores is to have a gradient.

        Args:
            scores: The scores.
            temperature: What they are divided by before the softmax; 0 for probabilities.

        Raises:
            UnvanishError: If a part of the network is run again for its backward pass.
        """
        scopes = self._scopes.get(get_ident())
        if scopes:
            scopes[-1].expect(scores, temperature)
        elif torch._C._current_graph_task_id() != -1:
            raise UnvanishError(
                "a choice that was given a gradient stands in a checkpointed part of the network",
                help="leave the checkpoint out",
            )


class Expected(nn.Module):
    """Called with the scores of a choice that is to have a gradient; returns them.

    Args:
        choices: What remembers it.
        temperature: What the scores are divided by before the softmax; 0 for probabilities.
    """

    def __init__(self, choices: Choices, temperature: float) -> None:
        super().__init__()
        self.choices, self.temperature = choices, temperature

    def forward(self, scores: Tensor) -> Tensor:
        """Return the scores."""
        if scores.requires_grad:
            self.choices.expect(scores, self.temperature)
        return scores

    def extra_repr(self) -> str:
        """Return the temperature."""
        return f"temperature={self.temperature:g}"
