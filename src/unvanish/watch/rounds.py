"""When a step of a run is over, where several optimisers take turns.

A step is a round: it is over when every optimiser that stepped in the round before has stepped
again, or when one is about to step a second time.
"""

from __future__ import annotations


class Rounds:
    """Counts rounds of optimiser steps."""

    def __init__(self) -> None:
        self._stepped: set[int] = set()
        self._expected: set[int] = set()

    def expect(self, optimizer: int) -> None:
        """Wait for an optimiser in the present round, as long as no round was completed."""
        self._expected.add(optimizer)

    def has_stepped(self, optimizer: int) -> bool:
        """Tell whether an optimiser has stepped in this round."""
        return optimizer in self._stepped

    def stepped(self, optimizer: int) -> bool:
        """Note that an optimiser has stepped.

        Returns:
            Whether the round is over with it.
        """
        self._stepped.add(optimizer)
        return self._stepped >= self._expected

    def next(self) -> None:
        """Begin the next round."""
        self._expected, self._stepped = self._stepped, set()
