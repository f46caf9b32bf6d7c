"""Two arms compared seed by seed: an interval, an exact test, and when a difference counts.

A seed is trained twice, untreated and treated, and the two results are subtracted (Student 1908).
What is left varies less than the results do, since a seed that is lucky is lucky twice. The
interval is Student's; for differences that are spread evenly around their middle, which those of
two equal arms are, it covers at least what it says where the tails are heavy (Efron 1969): a few
seeds that fail to train widen it and do not fool it. Beside it stands the test by exchange of
signs (Fisher 1935; Ernst 2004), which asks nothing of the distribution but cannot fall below
2^-n with n seeds, so that with 3 seeds it decides nothing alone.

An interval that excludes 0 is not enough to say that something is better. See `is_better`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Final

import numpy as np
from scipy.special import stdtrit

from unvanish.core.proofs import Comparison

SUPERIORITY: Final = 0.75
"""How often the treated network has to beat the control for a difference to count."""
LIKELY: Final = 2.0 / 3.0
"""The same for a difference that more seeds may confirm: what few seeds show is coarse."""
RELATIVE: Final = 0.01
"""A difference up to this share of the worse arm's mean is a trifle: one in the third digit."""
ERRORS: Final = 2.0
"""Standard errors that a difference of two proportions has to exceed."""
_EXACT: Final = 16
"""Seeds up to which every exchange of signs is counted."""
_DRAWS: Final = 20_000


def compare(
    treated: Sequence[float],
    control: Sequence[float],
    *,
    higher_is_better: bool,
    confidence: float = 0.95,
    worst: float,
    samples: int = 0,
) -> Comparison:
    """Compare two arms that were trained on the same seeds.

    A run without a result, one that diverged or failed, did worse than any other: it counts as
    `worst`. Where both runs of a seed have none, the seed shows no difference.

    Args:
        treated: One result a seed; not finite where there is none.
        control: The same, of the same seeds in the same order.
        higher_is_better: Direction of the endpoint.
        confidence: What the interval is to cover, in (0, 1).
        worst: Worst value that any run of the trial had, or chance, whichever is worse; where it
            is not finite, the worst of these two arms.
        samples: Samples that each result is a proportion of, as an accuracy is; 0 where the
            result is no proportion.

    Returns:
        The differences, positive where the treated network is better. Without seeds all else is
        ``nan``, with one the interval is infinite, and without any spread it has no width.

    Raises:
        ValueError: If the arms differ in length, or the confidence is not in (0, 1).

    Example:
        >>> compare([0.75, 0.5], [0.25, 0.25], higher_is_better=True, worst=0.1).mean
        0.375
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence is {confidence}, and has to be between 0 and 1")
    sign = 1.0 if higher_is_better else -1.0
    floor = sign * worst
    rows = [
        tuple(sign * value if math.isfinite(value) else math.nan for value in pair)
        for pair in zip(treated, control, strict=True)
    ]
    seen = [value for row in rows for value in row if not math.isnan(value)]
    if not math.isfinite(floor):
        floor = min(seen, default=0.0)
    filled = [tuple(floor if math.isnan(value) else value for value in row) for row in rows]
    differences = tuple(a - b for a, b in filled)
    if not differences:
        return Comparison(confidence=confidence)
    firsts, seconds = zip(*filled, strict=True)
    mean = math.fsum(differences) / len(differences)
    half = _half_width(differences, confidence)
    return Comparison(
        differences=differences,
        mean=mean,
        low=mean - half,
        high=mean + half,
        confidence=confidence,
        p_value=_sign_flips(differences),
        superiority=_superiority(firsts, seconds),
        trifle=_trifle(firsts, seconds, samples),
    )


def corrected(p_values: Sequence[float]) -> tuple[float, ...]:
    """Correct the p-values of several comparisons for their number (Holm 1979).

    Args:
        p_values: In any order; one that is ``nan`` stays so and is not counted.

    Returns:
        The corrected values in the same order: each holds for all comparisons together.

    Example:
        >>> corrected([0.01, 0.04, 0.03])
        (0.03, 0.06, 0.06)
    """
    ordered = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    result, largest = [math.nan] * len(p_values), 0.0
    for rank, (p, place) in enumerate(ordered):
        largest = max(largest, min(1.0, (len(ordered) - rank) * p))
        result[place] = largest
    return tuple(result)


def is_better(comparison: Comparison) -> bool:
    """Tell whether the treated arm is better than the control: beyond chance, and by enough.

    Three conditions, each against a different way to be fooled:

    1. *The interval lies above 0.* Against the luck of the seeds.
    2. *A treated network beats a control on three of four pairs of seeds*, any seed against any
       other. Against a gain that is real and does not matter: with the pairing, a steady gain far
       below what another seed would give can exclude 0. It depends on the order of the values
       alone, so it has no unit and knows no outlier. 0.75 is the probability of outperforming
       that Bouthillier and others (2021) recommend.
    3. *The mean difference is no trifle.* Against the luck of the samples, which all seeds share:
       a proportion of n samples moves in steps of 1/n, and a difference within two standard
       errors of a difference of two proportions could be another one on other samples. That it is
       the same samples in both arms makes the true error smaller: the condition errs on the side
       of doing nothing. For any other endpoint it is 1 % of the worse arm's mean, a choice.

    With few seeds the first decides, with many the others do.

    Args:
        comparison: Of the treated arm with the control.
    """
    return _holds(comparison, 1.0)


def is_worse(comparison: Comparison) -> bool:
    """Tell whether the treated arm is worse than the control, by the rule of `is_better`.

    Args:
        comparison: Of the treated arm with the control.
    """
    return _holds(comparison, -1.0)


def could_matter(comparison: Comparison) -> bool:
    """Tell whether the difference that was seen may be one that counts, whatever its interval.

    Where it may, more seeds can decide it; where it may not, there is no effect to be found.

    Args:
        comparison: Of the treated arm with the control.
    """
    return comparison.superiority >= LIKELY and comparison.mean > comparison.trifle


def _holds(comparison: Comparison, sign: float) -> bool:
    if sign > 0:
        edge, superiority = comparison.low, comparison.superiority
    else:
        edge, superiority = -comparison.high, 1.0 - comparison.superiority
    return edge > 0.0 and sign * comparison.mean > comparison.trifle and superiority >= SUPERIORITY


def _half_width(differences: Sequence[float], confidence: float) -> float:
    count = len(differences)
    if count == 1:
        return math.inf
    spread = float(np.std(differences, ddof=1)) if len(set(differences)) > 1 else 0.0
    quantile = float(stdtrit(count - 1, 0.5 + confidence / 2.0))
    return quantile * spread / math.sqrt(count)


def _sign_flips(differences: Sequence[float]) -> float:
    """Return how often a mean as high comes about where the sign of each difference is tossed."""
    values = np.asarray(differences, dtype=float)
    count = len(values)
    if count <= _EXACT:
        signs = np.array(list(product((1.0, -1.0), repeat=count)))
        drawn = 0
    else:
        # The seed is fixed: the same differences give the same p-value.
        signs = np.random.default_rng(0).choice((1.0, -1.0), size=(_DRAWS, count))
        drawn = 1
    sums = signs @ values
    rounding = 1e-12 * float(np.abs(values).sum())
    hits = int(np.count_nonzero(sums >= values.sum() - rounding))
    return (hits + drawn) / (len(sums) + drawn)


def _superiority(treated: Sequence[float], control: Sequence[float]) -> float:
    wins = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a in treated for b in control)
    return wins / (len(treated) * len(control))


def _trifle(treated: Sequence[float], control: Sequence[float], samples: int) -> float:
    means = [abs(math.fsum(arm) / len(arm)) for arm in (treated, control)]
    if not samples or max(means) > 1.0:
        return RELATIVE * max(means)
    # One success and one failure added to each arm, so that one that is always right has an
    # error too (Agresti and Caffo 2000).
    shares = [(min(mean, 1.0) * samples + 1.0) / (samples + 2.0) for mean in means]
    return ERRORS * math.sqrt(sum(p * (1.0 - p) for p in shares) / (samples + 2.0))


def exceeds_by_chance(control: int, controls: int, treated: int, treateds: int) -> float:
    """Return how likely at least so many successes of the treated arm are if nothing differs.

    Fisher's exact test, one-sided: sum over k >= treated of
    C(treateds, k) C(controls, s - k) / C(treateds + controls, s), s the successes of both.

    Args:
        control: Successes of the control.
        controls: Its runs.
        treated: Successes of the treated arm.
        treateds: Its runs.

    Returns:
        A probability; 1 where an arm has no run.
    """
    successes, runs = control + treated, controls + treateds
    if not controls or not treateds:
        return 1.0
    ways = sum(
        math.comb(treateds, k) * math.comb(controls, successes - k)
        for k in range(treated, min(treateds, successes) + 1)
    )
    return ways / math.comb(runs, successes)
