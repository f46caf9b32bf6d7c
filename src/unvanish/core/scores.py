"""The scores that a cross entropy compares with classes, and what knowing nothing would cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from unvanish.core.glossary import Quantity
from unvanish.core.operations import VIEW_OPS
from unvanish.core.records import Profile, Recording, Site

_CLASS_ERRORS: Final = frozenset({"nll_loss", "nll_loss2_d"})
"""What compares log-probabilities with classes: scores (N, C), and scores (N, C, d1, ...)."""
_BINARY_ERROR: Final = "binary_cross_entropy_with_logits"
_JOINS: Final = frozenset({"stack", "cat"})
_FAR: Final = 3.0
"""Times the cross entropy of equal probabilities."""
_LOUD: Final = 5.0
"""Root mean square of scores that leave most classes no chance."""
_OF_ONE: Final = 10.0
"""Times size and chance together beyond which a cross entropy is that of several samples."""
_OF_A_COIN: Final = 0.4
"""Loud binary scores of size 1 cost this much: half of them are wrong, by sqrt(2 / pi) = 0.8."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of one cross entropy.

    Attributes:
        site: The step that makes them.
        error: The step that compares them.
        classes: How many there are to choose from; 2 for a binary cross entropy.
        answers: How many choices are made.
        size: Root mean square of the scores.
        loss: The cross entropy, the mean where it is given for each answer.
        is_binary: Whether one score decides between yes and no.
    """

    site: Site
    error: Site
    classes: int
    answers: int
    size: float
    loss: float
    is_binary: bool = False

    @property
    def chance(self) -> float:
        """The cross entropy of giving every class the same probability, in nats."""
        return math.log(self.classes) * (1 if self.is_mean else self.answers)

    @property
    def limit(self) -> float:
        """The cross entropy from which on loud scores are far out."""
        return _FAR * self.chance

    @property
    def is_mean(self) -> bool:
        """Whether the cross entropy is a mean over the answers, and no sum.

        The cross entropy of scores of root mean square s exceeds that of equal ones by no more than
        a few s. What is far above that is a sum.
        """
        return self.loss <= _OF_ONE * (self.size + math.log(self.classes))

    @property
    def is_far_out(self) -> bool:
        """Whether the answers are sure and wrong: it would be better to know nothing."""
        return self.is_mean and self.size > _LOUD and self.loss > self.limit

    @property
    def of_nothing(self) -> float:
        """What a network that knows nothing may be left with, in nats.

        Weights of samples, and of the yes, do not show in a recording. In a binary cross entropy
        nothing divides by them: one that is higher than that of as loud answers by a coin is taken
        to weigh as much more.
        """
        heavy = self.loss / (_OF_A_COIN * self.size) if self.is_binary and self.size > 0.0 else 1.0
        return self.chance * max(1.0, heavy)


def scores_of(recording: Recording) -> list[Scores]:
    """Return the scores of every cross entropy of a recording, of classes and of yes or no.

    Args:
        recording: What was measured. A cross entropy of classes is recorded as `log_softmax` and
            `nll_loss` behind it, with classes on axis 1, one of yes or no as one step.
    """
    before_of: dict[int, list[Site]] = {}
    for edge in recording.edges:
        before_of.setdefault(edge.consumer, []).append(recording.sites[edge.producer])
    size, mean = recording[Quantity.ACTIVATION_RMS], recording[Quantity.ACTIVATION_MEAN]
    found = []
    for error in recording.sites:
        is_binary = error.op == _BINARY_ERROR
        compared = before_of.get(error.index, [])
        if len(compared) != 1 or not (is_binary or error.op in _CLASS_ERRORS):
            continue
        shape, made = compared[0].shape, compared[0]
        classes = 2 if is_binary else _classes(shape)
        if not is_binary:
            softmax = _unmoved(made, before_of)
            inputs = before_of.get(softmax.index, [])
            if softmax.op != "log_softmax" or len(inputs) != 1:
                continue
            made = inputs[0]
        made, spread = _made(made, before_of, size)
        if classes > 1 and spread >= 0.0:
            answers = max(1, math.prod(shape) // (1 if is_binary else classes))
            value = _smoothed(recording, error)
            loss = mean.get(value, size.get(value)) if value.shape else size.get(value)
            found.append(Scores(made, error, classes, answers, spread, loss, is_binary))
    return found


def _smoothed(recording: Recording, error: Site) -> Site:
    """Return the sum that smoothed labels make of an error, which alone has a value then."""
    if error in recording[Quantity.ACTIVATION_RMS]:
        return error
    behind = recording.sites[error.index + 1 : error.index + 3]  # a multiplication, and the sum
    ours = [one for one in behind if one.op == "add" and one.function == error.function]
    return ours[0] if ours else error


def _classes(shape: tuple[int, ...]) -> int:
    """Return how many classes log-probabilities are of, as `nll_loss` reads them."""
    if not shape:
        return 0
    return shape[1] if len(shape) > 1 else shape[0]


def _made(site: Site, before_of: Mapping[int, list[Site]], size: Profile) -> tuple[Site, float]:
    """Return the step that made some scores, and their root mean square; ``nan`` where unknown.

    Scores that are put together of several keep the first of their makers. A layer is recorded as
    a product, which its size stands at, and the sum with its bias where its input has several axes
    and lies scattered.
    """
    site = _unmoved(site, before_of)
    before = before_of.get(site.index, [])
    if site in size or not before:
        return site, size.get(site, math.nan)
    if site.op in _JOINS:
        parts = [_made(one, before_of, size) for one in before]
        total = sum(one.size for one in before)
        squares = sum(one.size * part[1] ** 2 for one, part in zip(before, parts, strict=True))
        return parts[0][0], math.sqrt(squares / total) if total else math.nan
    if site.op == "add" and site.function == "linear" and len(before) == 1:
        return _made(before[0], before_of, size)
    return site, math.nan


def _unmoved(site: Site, before_of: Mapping[int, list[Site]]) -> Site:
    """Return the step that made what a step passes on, moved but unchanged."""
    while site.op in VIEW_OPS and not site.weights:
        before = before_of.get(site.index, [])
        if len(before) != 1:
            break
        site = before[0]
    return site
