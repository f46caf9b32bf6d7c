"""A gradient for choices: what looks up a chosen index learns the scores it was chosen by.

An index is a whole number and has no gradient. It is remembered which scores it was chosen by,
through views, slices and concatenations, as long as the network's forward runs. Where it looks
something up, what comes out stays as it is and gets the gradient of the softmax of the scores times
what could have been looked up.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from unvanish.treat.chosen import ChoiceScope
from unvanish.treat.remembering import Remembering


class Choices(Remembering):
    """Remembers what was chosen by which scores, as long as a forward runs."""

    __slots__ = ()

    opens: ClassVar[type[ChoiceScope]] = ChoiceScope
    what: ClassVar[str] = "choice"


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
