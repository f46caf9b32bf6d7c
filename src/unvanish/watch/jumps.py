"""Where the loss jumps, heard while the run goes on: what dies there, dies at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from unvanish.diagnose.running.losses import AHEAD, BEHIND, LEAST_BEHIND, jump_limit

_FIRST = 8


@dataclass(frozen=True, slots=True)
class Jump:
    """A jump of the loss.

    Attributes:
        step: The first step with the high loss.
        before: Median loss of the steps before.
        height: Median loss of the first steps from it on.
    """

    step: int
    before: float
    height: float


class Jumps:
    """Looks for jumps in losses that come in portions; what they are is said by UV603.

    After a jump the next one is looked for among losses that have the new level behind them.
    """

    def __init__(self) -> None:
        self._first: list[float] = []
        self._known: list[tuple[int, float]] = []
        self._at = LEAST_BEHIND

    def heard(self, losses: Sequence[tuple[int, float]]) -> list[Jump]:
        """Take the next losses, and return the jumps that they show.

        Args:
            losses: Step and loss, in order; five losses from a jump on are needed to tell it from
                one strange batch.
        """
        finite = [pair for pair in losses if math.isfinite(pair[1])]
        self._first += [value for _, value in finite[: _FIRST - len(self._first)]]
        self._known += finite
        found = []
        values = [value for _, value in self._known]
        while self._at + AHEAD <= len(values):
            jump = self._jump(values, self._at)
            self._at += 1
            if jump is not None:
                found.append(jump)
                self._at += BEHIND - 1
        behind = max(0, min(self._at, len(self._known)) - BEHIND)
        del self._known[:behind]
        self._at -= behind
        return found

    def _jump(self, values: Sequence[float], at: int) -> Jump | None:
        behind = values[max(0, at - BEHIND) : at]
        if values[at] <= values[at - 1] or values[at] <= max(behind):
            return None
        before, limit = jump_limit(behind, median(self._first))
        height = median(values[at : at + AHEAD])
        if min(values[at], height) <= limit:
            return None
        return Jump(self._known[at][0], before, height)
