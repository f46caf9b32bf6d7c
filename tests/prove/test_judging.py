"""Conclusions, on arms that are written by hand."""

import math
from dataclasses import replace

import pytest

from unvanish.core.proofs import Arm, Conclusion, Endpoint, Job, Role, Run
from unvanish.prove.judging import conclude, judge, learned

NAN = math.nan
ACCURACY = Endpoint(name="accuracy", goal=0.9, chance=0.1, samples=360)
NO_GOAL = replace(ACCURACY, goal=None)
LOSS = Endpoint(name="loss", higher_is_better=False, chance=2.0)
OWN = Endpoint(name="reward")
SICK = (0.10, 0.11, 0.09, 0.10, 0.12)
GOOD = (0.96, 0.95, 0.97, 0.96, 0.97)
SO_SO = (0.60, 0.62, 0.61, 0.59, 0.63)


def run(seed, metric=NAN, **told):
    if math.isnan(metric) and "failed" not in told:
        told.setdefault("diverged", "the loss is nan at step 3")
    return Run(job=Job(seed=seed), metric=metric, steps=100, seconds=1.0, **told)


def arm(name, metrics, role=Role.CANDIDATE, **told):
    remedies = () if role in {Role.CONTROL, Role.NULL} else ("he",)
    runs = tuple(run(seed, metric) for seed, metric in enumerate(metrics))
    return Arm(**{"name": name, "role": role, "remedies": remedies, "runs": runs} | told)


def control(metrics=SICK, **told):
    return arm("control", metrics, Role.CONTROL, **told)


def said(endpoint, before, after, **told):
    return conclude(endpoint, control(before), best=arm("he", after), **told)


@pytest.mark.parametrize(
    ("endpoint", "before", "after", "conclusion"),
    [
        (ACCURACY, SICK, GOOD, Conclusion.CURED),
        (NO_GOAL, SICK, GOOD, Conclusion.CURED),
        (ACCURACY, SICK, SO_SO, Conclusion.IMPROVED),
        (NO_GOAL, SO_SO, GOOD, Conclusion.IMPROVED),
        # A change that is sure and far from being trained is no cure, whatever the goal.
        (NO_GOAL, SICK, (0.3, 0.31, 0.32, 0.3, 0.31), Conclusion.IMPROVED),
        # Doing nothing wins where the control learns, even if the arm is better for sure.
        (ACCURACY, (0.92, 0.91, 0.92, 0.93, 0.92), (0.99,) * 5, Conclusion.HEALTHY),
        (NO_GOAL, (0.92, 0.91, 0.92, 0.93, 0.92), (0.99,) * 5, Conclusion.HEALTHY),
        (NO_GOAL, GOOD, SICK, Conclusion.HEALTHY),
        (ACCURACY, SICK, SICK, Conclusion.NO_EFFECT),
        (NO_GOAL, SICK, (0.11, 0.10, 0.12, 0.10, 0.13), Conclusion.NO_EFFECT),
        (ACCURACY, SO_SO, SICK, Conclusion.NO_EFFECT),
        # Two of five seeds train: it may help, and these seeds do not tell.
        (ACCURACY, SICK, (0.9, 0.9, 0.9, 0.1, 0.1), Conclusion.INCONCLUSIVE),
        # All but one of the seeds of the control diverge.
        (ACCURACY, (NAN, NAN, NAN, 0.12, NAN), GOOD, Conclusion.CURED),
        (ACCURACY, (NAN,) * 5, (NAN,) * 5, Conclusion.NO_EFFECT),
        (LOSS, (2.0, 2.1, 1.99, 2.0, 2.2), (0.1, 0.2, 0.1, 0.1, 0.1), Conclusion.CURED),
        (LOSS, (NAN,) * 5, (0.1, 0.2, 0.1, 0.1, 0.1), Conclusion.CURED),
        (LOSS, (0.2,) * 5, (0.1, 0.12, 0.1, 0.1, 0.1), Conclusion.HEALTHY),
        (LOSS, (1.3, 1.32, 1.3, 1.3, 1.3), (0.5, 0.5, 0.52, 0.5, 0.5), Conclusion.CURED),
        (LOSS, (1.9,) * 5, (1.5, 1.5, 1.52, 1.5, 1.5), Conclusion.IMPROVED),
        # One loss of 1e5 in the control does not hide that every seed is better.
        (LOSS, (2.0, 1.9, 1e5, 2.0, 2.0), (0.1, 0.2, 0.1, 0.1, 0.1), Conclusion.CURED),
        (replace(LOSS, goal=0.01), (0.5,) * 5, (0.001,) * 5, Conclusion.CURED),
        (replace(LOSS, goal=0.01), (0.001,) * 5, (0.0001,) * 5, Conclusion.HEALTHY),
        # Of an endpoint without goal and chance nobody knows what would be trained.
        (OWN, (1.0, 1.1, 1.0, 1.0, 1.1), (90.0, 91.0, 95.0, 88.0, 99.0), Conclusion.IMPROVED),
        (OWN, (90.0,) * 5, (91.0, 89.0, 90.0, 90.0, 90.0), Conclusion.NO_EFFECT),
        (OWN, (NAN,) * 5, (90.0, 91.0, 95.0, 88.0, 99.0), Conclusion.IMPROVED),
        (replace(OWN, goal=80.0), (NAN,) * 5, (90.0, 91.0, 95.0, 88.0, 99.0), Conclusion.CURED),
    ],
)
def test_what_two_arms_come_to(endpoint, before, after, conclusion):
    judged = said(endpoint, before, after)
    assert judged.conclusion is conclusion, judged.said
    assert bool(judged.chosen) == (conclusion in {Conclusion.CURED, Conclusion.IMPROVED})


@pytest.mark.parametrize(
    ("metrics", "does"),
    [
        (GOOD, True),
        ((0.9, 0.9, 0.9, 0.9, NAN), True),
        ((0.9, 0.9, 0.9, 0.2, NAN), False),
        ((0.9, 0.9, 0.2), False),
        ((0.9,), True),
        ((), False),
    ],
)
def test_four_of_five_seeds_have_to_learn(metrics, does):
    assert learned(ACCURACY, metrics) is does


def test_without_a_goal_a_network_learns_from_half_the_way_on():
    assert learned(NO_GOAL, (0.56,) * 5)
    assert not learned(NO_GOAL, (0.54,) * 5)
    assert learned(LOSS, (0.99,) * 5)
    assert not learned(LOSS, (1.01,) * 5)
    assert not learned(OWN, (1e9,) * 5)
    # Half the way to zero says nothing of a loss whose zero is nowhere.
    assert not learned(replace(LOSS, chance=-2.0), (-1.5,) * 5)


@pytest.mark.parametrize("count", [1, 2])
def test_few_seeds_decide_nothing(count):
    judged = said(ACCURACY, (0.1,) * count, (0.97,) * count)
    assert judged.conclusion is Conclusion.INCONCLUSIVE
    assert "it takes 3" in judged.said
    # That a network reaches its goal needs no comparison.
    assert said(ACCURACY, (0.97,) * count, (0.1,) * count).conclusion is Conclusion.HEALTHY
    harmed = said(ACCURACY, (0.8,) * count, (0.1,) * count, is_forced=True)
    assert harmed.conclusion is Conclusion.INCONCLUSIVE


def test_a_trial_that_was_stopped_decides_nothing():
    judged = said(ACCURACY, SICK, GOOD, is_partial=True)
    assert judged.conclusion is Conclusion.INCONCLUSIVE
    assert "stopped" in judged.said
    assert "5 pairs" in judged.said
    assert said(ACCURACY, (0.97, 0.97), (), is_partial=True).conclusion is Conclusion.INCONCLUSIVE


def test_what_a_user_asks_for_can_do_harm():
    assert said(ACCURACY, GOOD, SICK, is_forced=True).conclusion is Conclusion.HARMED
    assert said(NO_GOAL, SO_SO, SICK, is_forced=True).conclusion is Conclusion.HARMED
    assert said(ACCURACY, GOOD, GOOD, is_forced=True).conclusion is Conclusion.HEALTHY
    assert said(ACCURACY, SICK, SICK, is_forced=True).conclusion is Conclusion.NO_EFFECT
    assert said(ACCURACY, GOOD, (NAN,) * 5, is_forced=True).conclusion is Conclusion.HARMED


def test_what_could_not_be_trained_is_said():
    failed = tuple(run(seed, failed="out of memory: 9 GB") for seed in range(5))
    judged = conclude(ACCURACY, control(runs=failed), best=arm("he", GOOD))
    assert judged.conclusion is Conclusion.CANNOT
    assert "out of memory" in judged.said
    forced = conclude(ACCURACY, control(), best=arm("he", (), runs=failed), is_forced=True)
    assert forced.conclusion is Conclusion.CANNOT


def test_a_control_that_failed_proves_nothing():
    """Of five pairs two are left."""
    runs = tuple(run(s, 0.1) if s < 2 else run(s, failed="KeyError: 'x'") for s in range(5))
    judged = conclude(ACCURACY, control(runs=runs), best=arm("he", GOOD))
    assert judged.conclusion is Conclusion.INCONCLUSIVE
    assert "2 seeds can be compared" in judged.said


def test_a_null_arm_that_differs_breaks_the_trial():
    null = arm("control, redrawn", (0.7, 0.71, 0.69), Role.NULL)
    judged = said(ACCURACY, SICK, SO_SO, null=null)
    assert judged.conclusion is Conclusion.INCONCLUSIVE
    assert "differs from itself" in judged.said
    learning = arm("control, redrawn", (0.93, 0.92, 0.91), Role.NULL)
    assert "differs from itself" in said(ACCURACY, SICK, GOOD, null=learning).said
    level = arm("control, redrawn", (0.12, 0.1, 0.1), Role.NULL)
    assert said(ACCURACY, SICK, GOOD, null=level).conclusion is Conclusion.CURED


def test_a_gain_beyond_what_the_control_differs_from_itself_stands():
    null = arm("control, redrawn", (0.25, 0.26, 0.24), Role.NULL)
    assert said(ACCURACY, SICK, GOOD, null=null).conclusion is Conclusion.CURED
    within = said(ACCURACY, SICK, (0.2, 0.21, 0.2, 0.19, 0.2), null=null)
    assert within.conclusion is Conclusion.INCONCLUSIVE


def test_a_gain_on_an_error_near_zero_is_told_by_logarithms():
    """It can be no larger than all of what the control has, as the control differs from itself."""
    error = replace(LOSS, chance=NAN)
    before, redrawn = (4.0, 4.5, 3.6, 4.2, 3.9), (1.4, 1.2, 1.5, 1.3, 1.1)
    null = arm("control, redrawn", redrawn, Role.NULL)
    assert said(error, before, (0.002, 0.003, 0.001, 0.002, 0.002), null=null).conclusion in {
        Conclusion.CURED,
        Conclusion.IMPROVED,
    }
    within = said(error, before, (0.9, 1.1, 0.8, 1.0, 0.9), null=null)
    assert within.conclusion is Conclusion.INCONCLUSIVE


def test_what_chance_alone_does_as_well_is_no_effect_of_the_treatment():
    """The null arm swings as far, on average, though not surely."""
    null = arm("control, redrawn", (0.9, 0.9, 0.1), Role.NULL)
    judged = said(ACCURACY, SICK, (0.4, 0.41, 0.42, 0.4, 0.41), null=null)
    assert judged.conclusion is not Conclusion.IMPROVED


def test_a_learning_rate_that_does_as_well_is_the_answer():
    tuned = arm("rate x0.1", GOOD, remedies=(), rate_factor=0.1)
    judged = said(ACCURACY, SICK, GOOD, tuned_control=tuned)
    assert (judged.conclusion, judged.chosen) == (Conclusion.CURED, "rate x0.1")
    half = arm("rate x0.1", SO_SO, remedies=(), rate_factor=0.1)
    assert said(ACCURACY, SICK, GOOD, tuned_control=half).chosen == "he"
    alone = conclude(ACCURACY, control(), tuned_control=tuned)
    assert alone.chosen == "rate x0.1"


def test_nothing_to_compare():
    assert conclude(ACCURACY, control()).conclusion is Conclusion.NO_EFFECT
    assert conclude(ACCURACY, control(GOOD)).conclusion is Conclusion.HEALTHY
    assert judge(ACCURACY, [], contenders=[]).conclusion is Conclusion.INCONCLUSIVE


def test_the_sentence_has_the_numbers():
    judged = said(ACCURACY, SICK, GOOD)
    for part in ("he cures it", "0.104", "0.962", "95 % interval", "5 of 5", "goal of 0.9"):
        assert part in judged.said


def test_a_worse_loss_is_said_to_be_worse_without_a_minus():
    judged = said(LOSS, (0.2,) * 5, (1.9, 1.8, 1.9, 1.9, 1.85), is_forced=True)
    assert judged.conclusion is Conclusion.HARMED
    assert "worse by 1.67" in judged.said
    assert "-" not in judged.said


def test_all_arms_of_a_trial_get_their_fate():
    arms = [
        arm("norm", GOOD),
        arm("he", SO_SO),
        control(),
        arm("control, redrawn", SICK[:3], Role.NULL),
        arm("drawn by lot", SICK[:3], Role.RANDOM),
        arm("slow", (), tries=(run(0, failed="ValueError: no"),)),
        arm("wild", (), tries=(run(0),)),
        arm("weak", (), tries=(run(0, 0.2),)),
        arm("late", ()),
    ]
    judged = judge(ACCURACY, arms, contenders=["he", "norm"])
    fates = {each.name: each.fate for each in judged.arms}
    assert judged.chosen == "norm"
    assert judged.arms[0].name == "control"
    assert fates == {
        "control": "control",
        "norm": "chosen",
        "he": "beaten",
        "control, redrawn": "compared",
        "drawn by lot": "compared",
        "slow": "failed",
        "wild": "dropped",
        "weak": "dropped",
        "late": "not run",
    }
    assert all(each.why for each in judged.arms)
    assert judged.comparison is not None
    assert judged.comparison.confidence == pytest.approx(0.975)
    assert judged.comparison.p_value == 2**-5
    assert judged.comparison.p_corrected == 2 * 2**-5
    assert judged.harms
    assert not any("by lot does" in note for note in judged.notes)


def test_a_remedy_drawn_by_lot_that_does_as_well_is_noted():
    arms = [control(), arm("he", GOOD), arm("drawn by lot", GOOD[:3], Role.RANDOM)]
    judged = judge(ACCURACY, arms, contenders=["he"])
    assert judged.conclusion is Conclusion.CURED
    assert any("by lot does about as well" in note for note in judged.notes)


def test_without_a_goal_the_bar_is_noted():
    (note,) = judge(NO_GOAL, [control(), arm("he", GOOD)], contenders=["he"]).notes
    assert "accuracy 0.55" in note
    (note,) = judge(OWN, [control(), arm("he", GOOD)], contenders=["he"]).notes
    assert "nobody can say" in note


def test_an_error_that_spans_decades_is_compared_by_its_logarithm():
    error = Endpoint(name="error", higher_is_better=False, goal=0.1)
    wild, calm = (0.5, 417.0, 3.0, 60.0, 9.0), (0.003, 0.004, 0.002, 0.003, 0.003)
    judged = said(error, wild, calm)
    assert judged.conclusion is Conclusion.CURED
    assert judged.comparison is not None
    assert judged.comparison.in_decades
    assert 2.0 < judged.comparison.low < judged.comparison.mean < 5.5
    assert "decades" in judged.said


def test_an_error_that_spans_decades_is_not_better_by_luck():
    error = Endpoint(name="error", higher_is_better=False, goal=0.1)
    judged = said(error, (0.5, 417.0, 3.0, 60.0, 9.0), (0.4, 300.0, 5.0, 80.0, 2.0))
    assert judged.chosen == ""


def test_where_an_error_may_be_negative_or_chance_is_known_it_is_compared_as_it_is():
    for endpoint, first in (
        (Endpoint(name="loss", higher_is_better=False), -0.5),
        (Endpoint(name="loss", higher_is_better=False, chance=1.0), 0.5),
        (Endpoint(name="score", higher_is_better=True), 0.5),
    ):
        judged = said(endpoint, (first, 417.0, 3.0, 60.0, 9.0), (0.3, 0.4, 0.2, 0.3, 0.3))
        assert judged.comparison is not None
        assert not judged.comparison.in_decades


def test_goals_reached_decide_where_the_control_ends_anywhere():
    error = Endpoint(name="error", higher_is_better=False, goal=2.4)
    before, after = [3.0, 1e13, 9.0, 1e2, 2.5], [2.1, 2.0, 2.2, 2.1, 2.3]
    assert said(error, before, after).conclusion is Conclusion.CURED
    assert said(error, before, [2.1, 2.0, 3.3, 9.0, 1e9]).conclusion is not Conclusion.CURED


@pytest.mark.parametrize(
    ("after", "is_suspect", "conclusion"),
    [
        ((0.862, 0.861, 0.863, 0.862, 0.862), False, Conclusion.INCONCLUSIVE),  # left alone
        ((0.862, 0.861, 0.863, 0.862, 0.862), True, Conclusion.IMPROVED),
        ((0.90, 0.91, 0.90, 0.91, 0.90), False, Conclusion.IMPROVED),
    ],
)
def test_a_gain_within_what_a_constant_answer_leaves_changes_nothing(after, is_suspect, conclusion):
    """Most labels are of one class, and the network answers so: the bar is 0.923."""
    clicks = replace(NO_GOAL, chance=0.847, samples=100_000)
    found = said(clicks, (0.847,) * 5, after, is_suspect=is_suspect)
    assert found.conclusion is conclusion
    assert bool(found.chosen) is (conclusion is Conclusion.IMPROVED)
