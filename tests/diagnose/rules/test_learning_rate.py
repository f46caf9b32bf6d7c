"""UV404: a loss that explodes, weights that do not move, and steps that may rise."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from unvanish.core.conditions import Optimizer, ProbeStep, RateTrial, RunContext
from unvanish.core.findings import Cause, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Recording
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured
from unvanish.diagnose.rules.learning_rate import LearningRate
from unvanish.testing import recording_of

SGD = Optimizer(name="SGD", lr=0.1)
ADAM = Optimizer(name="Adam", lr=0.1, eps=1e-8)
SLOW_ADAM = replace(ADAM, lr=3e-6)


def weight(update: float = 1e-2, log10: float = -2.0, **settings) -> Parameter:
    fields = {"shape": (64, 64), "rms": 0.1, "in_optimizer": True, "update_ratio": update}
    return Parameter(**({"name": "w", "log10_grad_rms": log10} | fields | settings))


def recorded(
    *losses: float,
    update: float = 1e-2,
    grown: float = 1.0,
    optimizer: Optimizer = ADAM,
    curvature: float = math.nan,
    log10: float = -2.0,
) -> Recording:
    """One step from each loss to the next; the weights grow by the given factor."""
    steps = [
        ProbeStep(loss_before=a, loss_after=b, predicted_change=-0.1, curvature_ratio=curvature)
        for a, b in pairwise(losses)
    ]
    context = RunContext(optimizer=optimizer)
    recording = recording_of("linear", parameters=[weight(update, log10)], context=context)
    later = replace(recording, parameters=(weight(rms=0.1 * grown),))
    return replace(recording, steps=tuple(steps), later=later)


def examine(recording: Recording):
    return LearningRate().examine(recording)


def only(verdict):
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    assert finding.causes == (Cause.LEARNING_RATE,)
    return finding


def test_a_loss_that_falls_is_clear():
    verdict = examine(recorded(2.0, 1.9, 1.8, 1.7))
    assert verdict == Clear(
        4.0, "decades", "3 steps of Adam(lr 0.1, eps 1e-08) take the loss from 2 to 1.7"
    )


def test_four_decades_are_an_error_and_the_help_names_a_rate():
    finding = only(examine(recorded(2.0, 1e3, 1e4, 1e5, update=1.0, curvature=200.0)))
    assert finding.severity is Severity.ERROR
    assert finding.message == "a learning rate of 0.1 multiplies the loss by 5e+04 within 3 steps"
    assert finding.help[0] == "lower the learning rate to 0.0005 or less"


@pytest.mark.parametrize("loss", [math.inf])
def test_a_loss_that_is_no_number_is_an_error(loss):
    finding = only(examine(recorded(2.0, 50.0, loss)))
    assert finding.severity is Severity.ERROR
    assert finding.measured == math.inf


def test_two_decades_count_where_the_weights_are_replaced():
    assert only(examine(recorded(2.0, 500.0, update=5.0))).severity is Severity.WARNING
    assert only(examine(recorded(2.0, 500.0, update=1.0))).severity is Severity.NOTE
    assert only(examine(recorded(2.0, 500.0, grown=5.0))).severity is Severity.WARNING


def test_a_converged_network_that_leaves_its_minimum_is_clear():
    assert isinstance(examine(recorded(1e-7, 1e-5, 1e-2, update=0.05, grown=1.01)), Clear)


def test_what_the_weights_are_worth_is_the_scale_of_a_loss_near_zero():
    """|gradient| |weights| is 1e-2 x 64 x 0.1 x 64 = 4, whatever the loss is."""
    assert isinstance(examine(recorded(1e-7, 1e-7, 3.0, update=1.0)), Clear)
    assert only(examine(recorded(1e-7, 1e-7, 1e5, update=1.0))).severity is Severity.ERROR


def test_a_loss_may_rise_below_a_decade_and_may_be_negative():
    assert isinstance(examine(recorded(2.0, 8.0, 12.0, update=1.0)), Clear)
    assert isinstance(examine(recorded(-5.0, -2.0, -1.0, update=1.0)), Clear)
    assert isinstance(examine(recorded(-5.0, 20.0, update=1.0)), Clear)
    assert isinstance(examine(recorded(-5.0, 6e4, update=1.0)), Found)


def test_the_loss_of_the_last_step_is_what_counts():
    """Adam's first step often overshoots, and the next ones bring the loss back."""
    losses = (2.0, 3000.0, 20.0, 1.5)
    assert isinstance(examine(recorded(*losses, update=1.0)), Clear)
    finding = only(examine(recorded(*losses, update=1.0, optimizer=SGD)))
    assert finding.severity is Severity.WARNING
    assert finding.message == "a learning rate of 0.1 multiplies the loss by 1.5e+03 within 3 steps"


def test_a_rate_that_moves_nothing_is_an_error():
    slow = replace(SGD, lr=1e-12)
    finding = only(examine(recorded(2.0, 2.0, update=0.0, optimizer=slow)))
    assert finding.severity is Severity.ERROR
    assert finding.message.startswith("a learning rate of 1e-12 moves no weight")
    almost = replace(SGD, lr=1e-6)
    finding = only(examine(recorded(2.0, 2.0, update=2e-7, optimizer=almost)))
    assert finding.severity is Severity.WARNING
    coasting = replace(almost, momentum=0.9)
    assert isinstance(examine(recorded(2.0, 2.0, update=2e-7, optimizer=coasting)), Clear)


def test_a_rate_of_zero_is_a_warning_and_a_note_under_a_scheduler():
    none = replace(SGD, lr=0.0)
    assert only(examine(recorded(2.0, 2.0, update=0.0, optimizer=none))).severity is (
        Severity.WARNING
    )
    warm_up = replace(none, initial_lr=1e-3)
    assert only(examine(recorded(2.0, 2.0, update=0.0, optimizer=warm_up))).severity is (
        Severity.NOTE
    )


def test_a_rate_of_zero_whose_scheduler_is_gone_is_an_error():
    gone = replace(SGD, lr=0.0, initial_lr=1e-3, unsteered=True)
    finding = only(examine(recorded(2.0, 2.0, update=0.0, optimizer=gone)))
    assert finding.severity is Severity.ERROR
    assert "an optimiser does not hold its scheduler" in finding.notes[1]


def test_a_gradient_too_small_for_its_weights_is_not_the_rates_fault():
    converged = recorded(1e-9, 1e-9, update=0.0, log10=-10.0, optimizer=SGD)
    assert isinstance(examine(converged), Clear)
    floored = recorded(
        2.0, 2.0, update=0.0, log10=-9.0, optimizer=Optimizer(name="Adam", lr=1e-3, eps=1e-8)
    )
    assert isinstance(examine(floored), Clear)


def test_a_step_that_is_lost_on_the_way_is_not_the_rates_fault():
    """Float16 rounds the gradient to zero; the rate promises steps of ordinary size."""
    lost = recorded(2.0, 2.0, update=0.0, optimizer=Optimizer(name="Adam", lr=5e-3, eps=1e-8))
    assert isinstance(examine(lost), Clear)


def test_an_optimiser_that_climbs_is_not_judged():
    recording = recorded(2.0, 1e9, update=1.0)
    up = tuple(replace(step, predicted_change=0.5) for step in recording.steps)
    assert isinstance(examine(replace(recording, steps=up)), NotApplicable)


def test_a_division_by_an_eps_of_zero_is_no_matter_of_the_rate():
    recording = recorded(2.0, math.inf, optimizer=Optimizer(name="Adam", lr=1e-3, eps=1e-8))
    half = replace(recording, context=replace(recording.context, dtype="float16"))
    assert isinstance(examine(recording), Found)
    assert isinstance(examine(half), NotApplicable)


def test_whose_optimiser_it_is():
    recording = recorded(2.0, 1e9, update=1.0)
    assumed = (weight(in_optimizer=None),)
    assert isinstance(examine(replace(recording, parameters=assumed)), NotApplicable)
    none = (weight(in_optimizer=False),)
    assert isinstance(examine(replace(recording, parameters=none)), NotApplicable)


def test_what_was_not_measured():
    assert isinstance(examine(recorded()), NotMeasured)
    assert isinstance(examine(recorded(math.nan, 1.0)), NotMeasured)
    assert isinstance(examine(recorded(2.0, math.nan)), NotMeasured)
    broken = recorded(2.0, 1.0)
    broken = replace(broken, parameters=(weight(non_finite_fraction=0.1),))
    assert isinstance(examine(broken), NotMeasured)


def descended(*losses: float, curvature: float = 8.0, update: float = 0.1, **settings) -> Recording:
    return recorded(*losses, optimizer=replace(SGD, **settings), curvature=curvature, update=update)


def test_gradient_descent_that_rises_faster_and_faster_is_a_warning():
    finding = only(examine(descended(2.0, 2.2, 2.6, 4.0, curvature=2.5)))
    assert finding.severity is Severity.WARNING
    assert (finding.measured, finding.limit) == (2.5, 2.0)
    assert finding.unit == "learning rate x curvature"
    assert isinstance(examine(descended(2.0, 2.2, 2.6, 4.0, curvature=1.5)), Clear)
    assert isinstance(examine(descended(2.0, 2.2, 2.6, 4.0, curvature=8.0, momentum=0.9)), Clear)
    assert isinstance(examine(descended(2.0, 2.05, 2.1, 2.3)), Clear)
    assert isinstance(examine(recorded(2.0, 6.0, 20.0, 90.0, curvature=80.0)), Clear)  # Adam
    converged = descended(1e-6, 1e-5, 1e-4, 1e-2)
    assert isinstance(examine(converged), Clear)


def test_a_rise_that_slows_down_is_a_catapult():
    """Batch normalisation takes steps of any size: what weights gain, steps lose."""
    assert isinstance(examine(descended(2.8, 5.9, 15.0, 15.3, curvature=16.0)), Clear)
    assert isinstance(examine(descended(2.0, 12.0, 9.0, 1.9)), Clear)
    thrown = only(examine(descended(2.8, 5.9, 15.0, 15.3, curvature=16.0, update=5.0)))
    assert thrown.severity is Severity.WARNING


def test_a_pace_that_gets_nowhere_is_a_warning():
    """Five millionths of a weight a step, and half a millionth of the loss."""
    slow = replace(SGD, lr=1e-5)
    recording = recorded(2.0, 2.0, update=5e-6, optimizer=slow)

    def promising(change: float) -> Recording:
        steps = tuple(replace(step, predicted_change=change) for step in recording.steps)
        return replace(recording, steps=steps)

    finding = only(examine(promising(-1e-6)))
    assert finding.severity is Severity.WARNING
    assert finding.limit == 1e-5
    assert isinstance(examine(promising(-1e-4)), Clear)
    momentum = replace(recording.context, optimizer=replace(slow, momentum=0.9))
    assert isinstance(examine(replace(promising(-1e-6), context=momentum)), Clear)


def collapsed(gradient: float, differences: float) -> Recording:
    """A loss that falls, while four layers lose decades of gradient and of differences."""

    def look(lost: float, share: float) -> Recording:
        return recording_of(
            *["linear"] * 4,
            parameters=[weight()],
            context=RunContext(optimizer=ADAM),
            profiles={
                Quantity.LOG10_ACTIVATION_GRAD_RMS: [-1.0 - lost, -1.0, -1.0, -1.0],
                Quantity.INPUT_SPREAD: [0.5, 0.5, 0.5, share],
            },
        )

    recording = look(0.5, 0.5)
    step = ProbeStep(loss_before=2.4, loss_after=2.3, predicted_change=-0.1)
    later = look(0.5 + gradient, 0.5 * 10.0 ** (-2.0 * differences))
    return replace(recording, steps=(step,), later=later)


def test_steps_that_make_all_samples_one_are_a_warning():
    finding = only(examine(collapsed(2.0, 1.5)))
    assert finding.severity is Severity.WARNING
    assert finding.measured == pytest.approx(2.0)
    assert finding.message == (
        "at a learning rate of 0.1 one step takes 2.0 decades of its gradient from the layer "
        "that gets least"
    )
    assert "lost 1.5 decades" in finding.notes[0]
    one = only(examine(collapsed(math.inf, math.inf)))
    assert "takes all of its gradient" in one.message
    assert "no difference is left" in one.notes[0]


def test_gradient_or_differences_alone_may_go():
    assert isinstance(examine(collapsed(2.0, 0.5)), Clear)
    assert isinstance(examine(collapsed(1.0, 2.0)), Clear)
    assert isinstance(examine(replace(collapsed(2.0, 2.0), later=None)), Clear)


def tried(
    after: float,
    tenth: float,
    *,
    optimizer: Optimizer = ADAM,
    rms: float = 0.0,
    steps: int = 30,
) -> Recording:
    """A rise by a tenth, a bias that may have been trained, and some more steps."""
    recording = recorded(2.0, 2.2, 2.1, 2.0, optimizer=optimizer)
    bias = weight(name="b", shape=(64,), rms=rms, requires_grad=True)
    trial = RateTrial(steps=steps, loss_before=2.0, loss_after=after, loss_after_scaled=tenth)
    return replace(recording, parameters=(*recording.parameters, bias), trial=trial)


@pytest.mark.parametrize("after", [1.5, 1.7, 2.5, math.inf])
def test_a_tenth_of_the_rate_learns_and_the_rate_does_not(after):
    finding = only(examine(tried(after, 0.3)))
    assert finding.severity is Severity.WARNING
    assert finding.measured == after / 2.0
    assert finding.help[0] == "lower the learning rate, first to 0.01"


@pytest.mark.parametrize(
    ("after", "tenth"), [(1.2, 0.3), (1.5, 0.6), (1.7, 1.2), (0.3, 1.5), (1.9, math.inf)]
)
def test_a_rate_that_learns_too_or_a_tenth_that_does_not_is_no_reason(after, tenth):
    assert isinstance(examine(tried(after, tenth)), Clear)


@pytest.mark.parametrize(
    ("after", "tenth", "found"), [(1.7, 1.3, True), (1.7, 1.4, False), (1.5, 1.0, False)]
)
def test_sixty_steps_tell_a_rate_by_what_a_tenth_leads(after, tenth, found):
    assert isinstance(examine(tried(after, tenth, steps=60)), Found) is found


def slow(
    after: float,
    scaled: float,
    *,
    optimizer: Optimizer = SLOW_ADAM,
    update: float = 3e-5,
    log10: float = -2.0,
    rms: float = 0.0,
) -> Recording:
    """A loss that hardly falls, a bias that may have been trained, and some more steps."""
    recording = recorded(2.0, 1.999, optimizer=optimizer, update=update, log10=log10)
    bias = weight(name="b", shape=(64,), rms=rms, requires_grad=True)
    trial = RateTrial(
        steps=30, loss_before=2.0, loss_after=after, loss_after_scaled=scaled, factor=100.0
    )
    return replace(recording, parameters=(*recording.parameters, bias), trial=trial)


def test_a_hundred_times_the_rate_learns_and_the_rate_does_not():
    finding = only(examine(slow(1.99, 0.9)))
    assert finding.severity is Severity.WARNING
    assert finding.causes == (Cause.LEARNING_RATE,)
    assert finding.measured == 3e-5
    assert "33,333 steps" in finding.notes[1]
    assert finding.help[0].startswith("raise the learning rate: try 0.0003")


def test_the_beginning_of_a_warm_up_is_a_note():
    warming = replace(ADAM, lr=3e-6, initial_lr=1e-3)
    assert only(examine(slow(1.99, 0.9, optimizer=warming))).severity is Severity.NOTE


@pytest.mark.parametrize(
    "recording",
    [
        slow(1.9, 0.9),  # it learns at its own pace
        slow(1.99, 1.5),  # more does not help it
        slow(1.99, math.inf),
        slow(1.99, 0.9, update=6e-4),
        slow(1.99, 0.9, rms=0.03),  # nobody knows what it has learned before
        slow(1.99, 0.9, log10=-9.0),  # eps holds it: UV401
        slow(1.99, 0.9, optimizer=replace(SGD, clip_grad_norm=1e-3)),
        slow(1.99, 0.9, optimizer=SGD, update=2e-4),
        slow(1.99, 0.9, optimizer=replace(SGD, momentum=0.9)),  # momentum adds to it
    ],
)
def test_a_rate_is_not_slow_for_other_reasons(recording):
    assert isinstance(examine(recording), Clear)


def test_a_trained_network_may_be_thrown_up_for_a_while():
    assert isinstance(examine(tried(2.5, 0.3, rms=0.03)), Clear)


def test_the_first_steps_of_rmsprop_are_no_measure_of_the_later_ones():
    assert isinstance(examine(tried(2.5, 0.3, optimizer=replace(ADAM, name="RMSprop"))), Clear)
