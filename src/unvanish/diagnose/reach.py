"""What an output can answer at all: the range of its last function, as a loss reads it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from unvanish.core.glossary import Quantity
from unvanish.core.records import Role, Site
from unvanish.diagnose.neighbours import VIEWS, Neighbours

RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "softmax": (0.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "erf": (-1.0, 1.0),
    "relu": (0.0, math.inf),
    "relu6": (0.0, 6.0),
    "softplus": (0.0, math.inf),
    "exp": (0.0, math.inf),
    "logsigmoid": (-math.inf, 0.0),
    "log_softmax": (-math.inf, 0.0),
}
"""Functions by what they can answer. hardtanh and clamp are left out: their ends are free."""

_PRODUCTS: Final = frozenset({"matmul", "mm", "bmm", "linear", "einsum"})
_LENGTHS: Final = frozenset({"linalg_vector_norm", "norm"})
_DIVISIONS: Final = frozenset({"div", "normalize"})
_BESIDE: Final = VIEWS | {"clamp_min", "clamp", "maximum", "add"}
"""What stands between a length and the division by it."""

_FACTORS: Final = frozenset({"mul", "div", "neg"})
_SHIFTS: Final = frozenset({"add", "sub"})
_THROUGH: Final = VIEWS | {"dropout", "masked_fill"}


@dataclass(frozen=True)
class Reach:
    """The values that a loss can be given.

    Attributes:
        site: The step whose function bounds them.
        low: Smallest value, after constant factors; ``-inf`` where there is no end.
        high: Largest value.
        is_cosine: Whether they are cosines, which are as far apart as the vectors can be turned.
    """

    site: Site
    low: float = -math.inf
    high: float = math.inf
    is_cosine: bool = False

    @property
    def width(self) -> float:
        """How far the values can lie apart."""
        return self.high - self.low


def reach_of(neighbours: Neighbours, loss: Site, *, shifts: bool = False) -> Reach | None:
    """Return what a loss can be given.

    Args:
        neighbours: The graph of a recording.
        loss: The loss, or any other step.
        shifts: Whether constants that are added may be passed over, where the loss does not
            notice them, as cross entropy.

    Returns:
        The range; None where the way branches, or a factor is not known, or is learned and not
        below 1: a network may raise it, but from there it has far to go.
    """
    through = _FACTORS | (_SHIFTS if shifts else frozenset())
    step, factor = neighbours.source(loss, _THROUGH), 1.0
    while step is not None:
        if step.op not in through:
            most = _largest_cosine(neighbours, step)
            is_cosine = not math.isnan(most)
            span = (-most, most) if is_cosine else RANGES.get(step.op, _ANYTHING)
            low, high = sorted(_times(end, factor) for end in span)
            return Reach(step, low, high, is_cosine)
        before = _scaled(neighbours, step)
        if before is None:
            return None
        if step.op in _FACTORS:
            factor *= _factor(neighbours, step, before)
        if math.isnan(factor):
            return None
        step = before if before.op not in _THROUGH else neighbours.source(before, _THROUGH)
    return None


def classes_of(neighbours: Neighbours, loss: Site, output: Site) -> int:
    """Count the classes that a loss chooses among.

    Args:
        neighbours: The graph of a recording.
        loss: A log-softmax or a negative log-likelihood.
        output: The step that makes what it reads.
    """
    mean = neighbours.recording[Quantity.ACTIVATION_MEAN].get(output)
    if output.op == "softmax" and 0.0 < mean <= 1.0:
        return round(1.0 / mean)
    if loss.op == "log_softmax" and loss.function != "cross_entropy":
        return loss.shape[-1] if loss.shape else 1
    shape = loss.shape if loss.op == "log_softmax" else output.shape
    return shape[1] if len(shape) > 1 else shape[0] if shape else 1


def _largest_cosine(neighbours: Neighbours, step: Site) -> float:
    """Return the largest product of two vectors of constant length; ``nan`` for other steps."""
    if step.function == "cosine_similarity":
        return 1.0
    vectors = neighbours.producers(step)
    if step.op not in _PRODUCTS or len(vectors) != 2:
        return math.nan
    return math.prod(_length(neighbours, vector) for vector in vectors)


def _length(neighbours: Neighbours, vector: Site) -> float:
    """Return the length of vectors that were divided by their own; ``nan`` of others."""
    length = 1.0
    while vector.op in VIEWS | _FACTORS:
        before = neighbours.producers(vector)
        if len(before) != 1 or vector.weights:
            scaled = _learned(neighbours, vector) if vector.role is not Role.WEIGHT else None
            if scaled is None:
                break
            before = [scaled]
        if vector.role is not Role.WEIGHT:
            length *= 1.0 if vector.op in VIEWS else abs(_factor(neighbours, vector, before[0]))
        elif vector.op not in VIEWS:
            break
        vector = before[0]
    parts = neighbours.producers(vector)
    if vector.op not in _DIVISIONS or not parts:
        return math.nan
    *divided, by = parts  # a parameter that is divided has no step of its own
    while by.op in _BESIDE and len(before := neighbours.producers(by)) == 1:
        by = before[0]
    is_own = by.op in _LENGTHS and divided == neighbours.producers(by)
    return length if is_own and (divided or vector.role is Role.WEIGHT) else math.nan


def _scaled(neighbours: Neighbours, step: Site) -> Site | None:
    """Return what a step multiplies by a constant, or by a small factor that is learned."""
    before = neighbours.source(step, _THROUGH)
    if before is not None and not step.weights:
        return before
    return _learned(neighbours, step)


def _learned(neighbours: Neighbours, step: Site) -> Site | None:
    """Return what a step multiplies by one number that is learned, while that is below 1."""
    producers = neighbours.producers(step)
    signals = [p for p in producers if p.role is not Role.WEIGHT]
    sizes = {p.name: p.size for p in neighbours.recording.parameters}
    numbers = [p.size for p in producers if p.role is Role.WEIGHT]
    numbers += [sizes.get(name, 0) for name in step.weights if len(numbers) == 0]
    if step.op not in {"mul", "div"} or len(signals) != 1 or numbers != [1]:
        return None
    return signals[0] if abs(_factor(neighbours, step, signals[0])) < 1.0 else None


_ANYTHING: Final = (-math.inf, math.inf)


def _times(end: float, factor: float) -> float:
    return end * factor if end else 0.0


def _factor(neighbours: Neighbours, after: Site, before: Site) -> float:
    """Return the constant by which a step multiplies, from what went in and came out."""
    if after.op == "neg":
        return -1.0
    rms = neighbours.recording[Quantity.ACTIVATION_RMS]
    mean = neighbours.recording[Quantity.ACTIVATION_MEAN]
    if not rms.get(before) > 0.0 or not 0.0 < rms.get(after) < math.inf:
        return math.nan
    sign = -1.0 if mean.get(before, 0.0) * mean.get(after, 0.0) < 0.0 else 1.0
    return sign * rms[after] / rms[before]
