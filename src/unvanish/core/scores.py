"""The scores that a cross entropy compares with classes, and what knowing nothing would cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from unvanish.core.glossary import Quantity
from unvanish.core.operations import VIEW_OPS
from unvanish.core.records import Recording, Site

_FAR: Final = 3.0
"""Times the cross entropy of equal probabilities."""
_LOUD: Final = 5.0
"""Root mean square of scores that leave most classes no chance."""
_OF_ONE: Final = 10.0
"""Times size and chance together beyond which a cross entropy is that of several samples."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of one cross entropy.

    Attributes:
        site: The step that makes them.
        classes: How many there are to choose from.
        size: Root mean square of the scores.
        loss: The cross entropy.
    """

    site: Site
    classes: int
    size: float
    loss: float

    @property
    def chance(self) -> float:
        """The cross entropy of giving every class the same probability, in nats."""
        return math.log(self.classes)

    @property
    def limit(self) -> float:
        """The cross entropy from which on loud scores are far out."""
        return _FAR * self.chance

    @property
    def is_far_out(self) -> bool:
        """Whether the answers are sure and wrong: it would be better to know nothing.

        The cross entropy of scores of root mean square s exceeds that of equal ones by no more than
        a few s. What is far above that is no mean over the samples, but a sum.
        """
        is_mean = self.loss <= _OF_ONE * (self.size + self.chance)
        return is_mean and self.size > _LOUD and self.loss > self.limit


def scores_of(recording: Recording) -> list[Scores]:
    """Return the scores of every cross entropy of a recording.

    Args:
        recording: What was measured; `nll_loss` behind `log_softmax`, which is also how a
            cross entropy is recorded.
    """
    size = recording[Quantity.ACTIVATION_RMS]
    before_of: dict[int, list[Site]] = {}
    for edge in recording.edges:
        before_of.setdefault(edge.consumer, []).append(recording.sites[edge.producer])
    found = []
    for site in recording.sites:
        before = before_of.get(site.index, []) if site.op == "nll_loss" else []
        if len(before) != 1 or before[0].op != "log_softmax" or not before[0].shape:
            continue
        shape = before[0].shape
        classes = shape[1] if len(shape) > 2 else shape[-1]
        made = before_of.get(before[0].index, [])
        while len(made) == 1 and made[0].op in VIEW_OPS and not made[0].weights:
            made = before_of.get(made[0].index, [])
        if len(made) == 1 and classes > 1 and size.get(made[0]) >= 0.0:
            found.append(Scores(made[0], classes, size.get(made[0]), size.get(site)))
    return found
