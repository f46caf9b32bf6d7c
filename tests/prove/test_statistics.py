"""Paired comparisons: against textbook values, against enumeration, and under A/A."""

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from unvanish.prove.statistics import (
    compare,
    corrected,
    could_matter,
    exceeds_by_chance,
    is_better,
    is_worse,
)

SAMPLES = 360
NAN = math.nan


def accuracies(rng, count, failing, trained=0.9):
    """Accuracies of networks of which a share stays at chance."""
    values = np.where(rng.random(count) < failing, 0.1, trained) + rng.normal(0, 0.01, count)
    return np.round(values.clip(0, 1) * SAMPLES) / SAMPLES


def up(treated, control, **options):
    return compare(treated, control, **{"higher_is_better": True, "worst": 0.0} | options)


def test_the_interval_is_students():
    # Student 1908, the hours of sleep gained with two drugs: t = 4.06 on 9 degrees of freedom.
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    comparison = up(second, first, worst=-2.0)
    assert comparison.mean == pytest.approx(1.58)
    assert (comparison.low, comparison.high) == pytest.approx((0.700, 2.460), abs=1e-3)
    wider = up(second, first, worst=-2.0, confidence=0.99)
    assert (wider.low, wider.high) == pytest.approx((0.316, 2.844), abs=1e-3)


def test_the_permutation_test_counts_every_exchange_of_signs():
    rng = np.random.default_rng(0)
    differences = rng.normal(0.4, 1, 9)
    sums = [np.dot(signs, differences) for signs in product((1, -1), repeat=9)]
    exact = np.mean(np.array(sums) >= differences.sum() - 1e-9)
    assert up(differences, np.zeros(9)).p_value == pytest.approx(exact)


@pytest.mark.parametrize("count", [1, 3, 5, 16])
def test_the_p_value_cannot_fall_below_what_the_seeds_allow(count):
    assert up([0.9 + 0.01 * k for k in range(count)], [0.1] * count).p_value == 2.0**-count


def test_many_seeds_are_drawn_and_give_the_same_p_value_twice():
    rng = np.random.default_rng(3)
    treated = rng.normal(0.3, 1, 24)
    first, second = (up(treated, np.zeros(24), worst=-9.0) for _ in range(2))
    assert first.p_value == second.p_value
    # The normal approximation of the same test.
    z = treated.sum() / math.sqrt(float((treated**2).sum()))
    assert first.p_value == pytest.approx(0.5 * math.erfc(z / math.sqrt(2)), abs=0.02)


def test_a_loss_is_better_where_it_is_lower():
    comparison = compare([0.1, 0.2, 0.15], [2.3, 2.2, 2.4], higher_is_better=False, worst=2.4)
    assert comparison.mean == pytest.approx(2.15)
    assert is_better(comparison)
    assert not is_worse(comparison)
    back = compare([2.3, 2.2, 2.4], [0.1, 0.2, 0.15], higher_is_better=False, worst=2.4)
    assert is_worse(back)
    assert not is_better(back)
    assert (back.low, back.high) == pytest.approx((-comparison.high, -comparison.low))


def test_a_run_without_a_result_counts_as_the_worst():
    comparison = up([0.9, 0.8, NAN], [NAN, 0.2, NAN], worst=0.1)
    assert comparison.differences == pytest.approx((0.8, 0.6, 0.0))
    loss = compare([0.5, math.inf], [NAN, 0.4], higher_is_better=False, worst=7.0)
    assert loss.differences == pytest.approx((6.5, -6.6))


def test_where_nobody_knows_the_worst_it_is_that_of_the_two_arms():
    assert up([0.9, 0.7], [NAN, 0.3], worst=NAN).differences == pytest.approx((0.6, 0.4))
    assert up([NAN], [NAN], worst=NAN).differences == (0.0,)


def test_the_ends_of_the_scale():
    nothing = up([], [])
    assert nothing.differences == ()
    assert math.isnan(nothing.mean)
    assert not is_better(nothing)
    assert not could_matter(nothing)
    one = up([0.9], [0.1])
    assert (one.low, one.high) == (-math.inf, math.inf)
    assert not is_better(one)
    assert could_matter(one)
    level = up([0.75] * 3, [0.25] * 3)
    assert level.low == level.mean == level.high == 0.5
    assert is_better(level)
    same = up([0.5] * 3, [0.5] * 3)
    assert same.p_value == 1.0
    assert not is_better(same)
    assert not is_worse(same)


def test_wrong_calls_are_refused():
    with pytest.raises(ValueError, match="zip"):
        up([0.5], [0.5, 0.6])
    with pytest.raises(ValueError, match="between 0 and 1"):
        up([0.5], [0.5], confidence=95)


def test_holm_corrects_for_the_number_of_comparisons():
    assert corrected([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert corrected([]) == ()
    with_gap = corrected([0.02, NAN, 0.9])
    assert with_gap[0] == pytest.approx(0.04)
    assert math.isnan(with_gap[1])
    assert with_gap[2] == 0.9


def test_a_steady_gain_that_another_seed_would_also_give_is_a_trifle():
    control = [0.50, 0.60, 0.70, 0.55, 0.65]
    comparison = up([value + 0.012 + 0.0001 * k for k, value in enumerate(control)], control)
    assert comparison.low > 0
    assert not is_better(comparison)


def test_a_difference_within_the_error_of_the_sample_is_a_trifle():
    control = [0.100, 0.100, 0.100]
    treated = [0.125, 0.125, 0.125]
    assert not is_better(up(treated, control, samples=SAMPLES))
    assert is_better(up(treated, control, samples=100 * SAMPLES))
    assert not is_better(up([1.0] * 3, [1.0 - 1 / SAMPLES] * 3, samples=SAMPLES))


def test_a_loss_in_the_third_digit_is_a_trifle_on_any_scale():
    control = [2.3026, 2.3025, 2.3027]
    treated = [2.3011, 2.3010, 2.3012]
    for scale in (1e-6, 1.0, 1e6):
        few, many = (
            compare(
                [scale * value for value in arm],
                [scale * value for value in control],
                higher_is_better=False,
                worst=scale * 2.4,
            )
            for arm in (treated, [1.8, 1.9, 1.85])
        )
        assert few.low > 0
        assert not is_better(few)
        assert is_better(many)


def test_an_arm_that_never_fails_beats_one_that_mostly_does():
    assert is_better(up([0.9, 0.91, 0.92, 0.9, 0.9], [0.1, 0.1, NAN, 0.1, 0.9], worst=0.1))


ARMS = {
    "normal": (lambda rng, n: rng.normal(0.5, 0.05, n), 0),
    "heavy tails": (lambda rng, n: np.abs(rng.standard_cauchy(n)), 0),
    "lognormal": (lambda rng, n: rng.lognormal(0, 2, n), 0),
    "half fail": (lambda rng, n: accuracies(rng, n, 0.5), SAMPLES),
    "one in five fails": (lambda rng, n: accuracies(rng, n, 0.2), SAMPLES),
    "exactly two values": (lambda rng, n: (rng.random(n) < 0.5) * 1.0, 0),
    "half diverge": (
        lambda rng, n: np.where(rng.random(n) < 0.5, NAN, rng.normal(1, 0.1, n)),
        0,
    ),
    "all at chance": (lambda rng, n: rng.binomial(SAMPLES, 0.1, n) / SAMPLES, SAMPLES),
}


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("name", ARMS)
def test_two_equal_arms_are_rarely_told_apart(name, seeds):
    draw, samples = ARMS[name]
    rng, trials = np.random.default_rng(seeds), 600
    wrong = 0
    for _ in range(trials):
        arms = draw(rng, seeds), draw(rng, seeds)
        comparison = up(*arms, samples=samples)
        wrong += is_better(comparison) or is_worse(comparison)
    # 5 % on both sides together, and three standard errors of this simulation.
    assert wrong / trials <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / trials)


@pytest.mark.parametrize(("seeds", "power"), [(3, 0.99), (5, 0.99)])
def test_a_large_effect_is_found(seeds, power):
    rng = np.random.default_rng(seeds)
    found = [
        is_better(up(accuracies(rng, seeds, 0.0), accuracies(rng, seeds, 1.0), samples=SAMPLES))
        for _ in range(300)
    ]
    assert np.mean(found) >= power


def test_the_interval_alone_would_take_a_steady_difference_of_the_sample_for_an_effect():
    """What the trifle is there for: two constant answers, one class a little more frequent."""
    comparison = up([0.103, 0.103, 0.103], [0.097, 0.097, 0.097], samples=SAMPLES)
    assert comparison.low > 0
    assert not is_better(comparison)


@pytest.mark.parametrize(
    ("counts", "p_value"),
    [
        ((0, 5, 5, 5), 1 / 252),
        ((0, 3, 3, 3), 1 / 20),
        ((0, 5, 4, 5), 6 / 252),
        ((2, 5, 2, 5), 0.738),
    ],
)
def test_goals_reached_by_chance(counts, p_value):
    assert exceeds_by_chance(*counts) == pytest.approx(p_value, abs=1e-3)
    fisher = stats.fisher_exact(
        [[counts[2], counts[3] - counts[2]], [counts[0], counts[1] - counts[0]]], "greater"
    )
    assert exceeds_by_chance(*counts) == pytest.approx(fisher.pvalue)


def test_without_runs_nothing_exceeds_chance():
    assert exceeds_by_chance(0, 0, 3, 3) == 1.0
