"""Signal and noise of a step's gradient, where it is added up over several backward passes.

With n micro-batches of one size, |g_1|^2 of the first one holds the noise n times over that the
mean gradient has, so that two norms tell signal from noise (McCandlish and others 2018, appendix
A). They are of the same weights, and both are read at a sample anyway.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from unvanish.watch.flat import Flat
from unvanish.watch.parameters import Gradient, ParameterGroup
from unvanish.watch.readings import Row
from unvanish.watch.sampling import widest


class Passes:
    """The gradient after the first backward pass of a step, and how many passes followed.

    Passes between which somebody wrote to the gradients are none that add up.
    """

    def __init__(self) -> None:
        self._first: list[Gradient] = []
        self._last: list[Gradient] = []
        self._count = 0

    def clear(self) -> None:
        """Begin a step."""
        self._first, self._last, self._count = [], [], 0

    def passed(self, groups: Sequence[ParameterGroup]) -> None:
        """Take the gradients as one more pass left them.

        Args:
            groups: That have read them.
        """
        now = [group.raw for group in groups if group.raw is not None]
        adds_up = len(now) == len(self._last) and all(map(_adds_up, self._last, now))
        self._count = self._count + 1 if adds_up and self._count else 1
        if self._count == 1:
            self._first = now
        self._last = now

    def put(self, flat: Flat) -> None:
        """Put two squares and the number of passes with a sample, if there were several."""
        if self._count > 1 and all(each.norms for each in (*self._first, *self._last)):
            first, last = _square(self._first), _square(self._last)
            flat.put("passes", torch.stack([first, last, torch.full_like(last, self._count)]))


def _adds_up(earlier: Gradient, later: Gradient) -> bool:
    """Tell whether nothing but one backward pass wrote to the gradients."""
    if len(earlier.versions) != len(later.versions):
        return False
    pairs = list(zip(earlier.versions, later.versions, strict=True))
    written = {b[1] - a[1] if a[0] == b[0] else -1 for a, b in pairs}
    return 1 in written and written <= {0, 1}


def _square(gradients: Sequence[Gradient]) -> Tensor:
    norms = [norm for each in gradients for norm in each.norms]
    device = norms[0].device
    return torch.stack([norm.to(device, widest(device)) for norm in norms]).square().sum()


def signal_share(found: Row) -> float:
    """Return the share of the squared gradient that is signal; ``nan`` where it cannot be told.

    Args:
        found: Square of the first pass, square of all, and the number of passes.
    """
    first, last, count = (float(value) for value in found)
    if not (math.isfinite(first) and 0.0 < last < math.inf):
        return math.nan
    return count / (count - 1.0) * (1.0 - count * first / last)
