"""Who goes on to the next stage of a trial: successive halving on the validation part.

An entry is a treatment; at a learning rate it is a pair. Scores are `Run.validation`, the higher
the better; a run that diverged or failed scores minus infinity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from unvanish.core.prescriptions import Option
from unvanish.prove.plan import BETWEEN

AS_GOOD: Final = 0.97
"""Share of the best pair's gain over the control that makes another pair as good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A treatment that takes part.

    Attributes:
        remedies: Names; empty for the network as it is.
        size: Whether source code cannot say it, the number of remedies, and how much of the design
            they touch: to be compared with that of others, the smaller the better.
    """

    remedies: tuple[str, ...] = ()
    size: tuple[float, ...] = (0.0,)

    @classmethod
    def of(cls, option: Option) -> Entry:
        """Return the entry of something that was tried on a copy."""
        changes = sum(1 + one.change.rank for one in option.prescriptions)
        return cls(
            remedies=option.remedies,
            size=(float(not option.can_be_written), float(len(option.remedies)), float(changes)),
        )


CLOSE: Final = 0.8
"""Share of the gain at the best rate from which the user's own gets a full run too."""
FARTHEST: Final = 1e4
"""How far from the user's own a learning rate is looked for, either way."""
_DECADE: Final = 10.0
_FAR: Final = 1.6
"""Decades from which another learning rate is a larger change than one remedy."""
_FAR_SIZE: Final = (0.0, 1.0, math.inf)
"""`Entry.size` of such a rate: what ails a network is rarely mended by it, where one remedy is as
good."""
NOTABLE: Final = 0.1
"""Share of a gain below which it is not worth a proof of its own."""

CONTROL: Final = Entry()
"""The network as it is."""

Pair = tuple[Entry, float]
"""An entry at a factor of its learning rate."""

Score = Callable[[Entry, float], float]
"""Validation score of a pair; minus infinity where there is none."""


def beyond(entry: Entry, rates: Sequence[float], score: Score) -> float | None:
    """Return a learning rate beyond those tried that is worth a try.

    Args:
        entry: Whose.
        rates: What it was tried at, the user's own among them.
        score: Of the first tries.

    Returns:
        A tenth of the least, where that did best or every rate diverged; ten times the largest,
        where that did best; None otherwise, and from four decades off on.
    """
    best = max(rates, key=lambda rate: score(entry, rate))
    if score(entry, best) == -math.inf or best == min(rates) < 1.0:
        further = min(rates) / _DECADE
    elif best == max(rates) > 1.0:
        further = max(rates) * _DECADE
    else:
        return None
    further = float(f"{further:.2g}")
    return further if 1.0 / FARTHEST <= further <= FARTHEST else None


def best_rates(tried: Mapping[Entry, Sequence[float]], score: Score) -> dict[Entry, float]:
    """Return the rate at which each entry did best; one without any result is left out.

    Args:
        tried: The rates that each was tried at.
        score: Of the first tries.
    """
    best: dict[Entry, float] = {}
    for entry, rates in tried.items():
        top = max(rates, key=lambda rate: score(entry, rate))
        if score(entry, top) > -math.inf:
            best[entry] = top
    return best


def final_rates(
    entry: Entry, rate: float, rates: Sequence[float], score: Score
) -> tuple[float, ...]:
    """Return the rates of an entry in full runs.

    They are the best; a further one next to it, on the side where the other results are better,
    and where the best is the least or the largest tried, one beyond it; and the user's own, where
    that came close.
    """
    ordered, own = sorted(rates), score(entry, 1.0)
    place = ordered.index(rate)
    lower = score(entry, ordered[place - 1]) if place else -math.inf
    upper = score(entry, ordered[place + 1]) if place + 1 < len(ordered) else -math.inf
    best, control = score(entry, rate), score(CONTROL, 1.0)
    came_close = math.isfinite(own) and (
        math.isinf(control) or own - control >= CLOSE * (best - control)
    )
    wanted = [rate, rate * BETWEEN if upper > lower else rate / BETWEEN]
    if len(ordered) > 1 and place in {0, len(ordered) - 1}:
        wanted.append(rate / BETWEEN if place == 0 else rate * BETWEEN)
    if came_close:
        wanted.append(1.0)
    return tuple(dict.fromkeys(float(f"{each:.2g}") for each in wanted))


def gains(pair: Pair, over: Pair, score: Score) -> bool:
    """Tell whether a pair has a share worth a look of what another one gains over the control."""
    own, part, whole = score(CONTROL, 1.0), score(*pair), score(*over)
    return part > -math.inf and (math.isinf(own) or part - own > NOTABLE * (whole - own) > 0.0)


def is_as_good(pair: Pair, other: Pair, score: Score) -> bool:
    """Tell whether a pair has 97 % of what another one gains over the control, or more.

    Args:
        pair: The one.
        other: The other.
        score: Of the full runs.
    """
    own, mine, least = score(CONTROL, 1.0), score(*pair), score(*other)
    floor = own if math.isfinite(own) else min(mine, least)
    return mine >= min(least, floor + AS_GOOD * (least - floor))


def helped(rates: Mapping[Entry, float], score: Score) -> list[Entry]:
    """Return the entries that did better than the control in the first tries, best first.

    Args:
        rates: The best rate of each entry.
        score: Of the first tries.
    """
    own = max((score(CONTROL, r) for e, r in rates.items() if e == CONTROL), default=-math.inf)
    better = [e for e, rate in rates.items() if e != CONTROL and score(e, rate) > own]
    return sorted(better, key=lambda entry: -score(entry, rates[entry]))


def size_of(entry: Entry, rate: float) -> tuple[float, ...]:
    """Return how large a change an entry is at a learning rate; see `Entry`."""
    is_far = entry == CONTROL and abs(math.log10(rate)) > _FAR
    return _FAR_SIZE if is_far else entry.size


def ranked(pairs: Sequence[Pair], score: Score) -> list[Pair]:
    """Return one pair of every entry: the smallest change among the good ones, then by score.

    A pair is good where it has 97 % of the best pair's gain over the control at its own rate. An
    entry stands at the user's own rate where that is as good as its best. The pair that is named
    second is the best of all, for the case that the smallest does not hold.

    Args:
        pairs: What was trained in full, the control at rate 1 among them.
        score: Their scores.
    """
    own = (CONTROL, 1.0)
    floor = score(*own)
    if math.isinf(floor):
        floor = min((score(*p) for p in pairs if score(*p) > -math.inf), default=floor)

    def as_good(pair: Pair, top: float) -> bool:
        return score(*pair) >= min(top, floor + AS_GOOD * (top - floor))

    entered = []
    for entry in dict.fromkeys(pair[0] for pair in pairs):
        mine = [p for p in pairs if p[0] == entry and p != own and score(*p) > -math.inf]
        if mine:
            best = max(mine, key=lambda pair: score(*pair))
            plain = (entry, 1.0)
            entered.append(plain if plain in mine and as_good(plain, score(*best)) else best)
    entered.sort(key=lambda pair: -score(*pair))
    if not entered:
        return []
    good = [pair for pair in entered if as_good(pair, score(*entered[0]))]
    smallest = min(good, key=lambda pair: (size_of(*pair), pair[1] != 1.0, -score(*pair)))
    return [smallest, *(pair for pair in entered if pair != smallest)]
