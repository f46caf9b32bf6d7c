"""UV502: early layers that stand still while the later ones move."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from unvanish.core.conditions import Optimizer, RunContext
from unvanish.core.findings import Cause, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Profile, Recording
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured
from unvanish.diagnose.rules.frozen import FrozenEarlyLayers
from unvanish.testing import recording_of

SGD = Optimizer(name="SGD", lr=0.1)


def weight(index: int, step: float, log10: float, **settings) -> Parameter:
    fields = {"shape": (64, 64), "rms": 0.1, "in_optimizer": True, "learning_rate": 0.1}
    return Parameter(
        name=f"layers.{index}.weight",
        log10_grad_rms=log10,
        turn_ratio=step,
        update_ratio=step,
        **(fields | settings),
    )


def recorded(
    *layers: tuple[float, float], optimizer: Optimizer = SGD, later: bool = True, **settings
) -> Recording:
    """Layers by step and log10 of gradient, input side first; the same after the steps."""
    recording = recording_of(
        *["linear"] * len(layers),
        parameters=[weight(i, *layer, **settings) for i, layer in enumerate(layers)],
        context=RunContext(optimizer=optimizer),
    )
    return replace(recording, later=recording) if later else recording


def examine(recording: Recording):
    return FrozenEarlyLayers().examine(recording)


def only(verdict):
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    return finding


STARVED = (1e-7, -9.0), (1e-6, -8.0), (1e-2, -2.0), (1e-2, -2.0)


def test_early_layers_three_decades_slower_are_a_warning():
    finding = only(examine(recorded(*STARVED)))
    assert finding.severity is Severity.WARNING
    assert finding.measured == pytest.approx(4.0)
    assert finding.message == "the first 2 of 4 weights move 4.0 decades less than the later ones"
    assert finding.parameters == ("layers.0.weight", "layers.1.weight")


def test_layers_whose_bits_do_not_change_are_an_error():
    still = recorded((0.0, -12.0), (1e-9, -11.0), (1e-2, -2.0))
    assert only(examine(still)).severity is Severity.ERROR
    assumed = recorded((0.0, -12.0), (1e-9, -11.0), (1e-2, -2.0), in_optimizer=None)
    assert only(examine(assumed)).severity is Severity.WARNING


def test_two_decades_and_slow_layers_in_the_middle_are_clear():
    assert isinstance(examine(recorded((1e-4, -4.0), (1e-2, -2.0), (1e-2, -2.0))), Clear)
    assert isinstance(examine(recorded((1e-2, -2.0), (1e-8, -9.0), (1e-2, -2.0))), Clear)


def test_a_converged_network_is_slow_as_a_whole():
    assert isinstance(examine(recorded((1e-9, -9.0), (2e-9, -9.0), (1e-9, -8.8))), Clear)


def test_large_weights_and_scale_invariance_are_no_starvation():
    """A thousand times the weights, a thousandth of the gradient: the product is the same."""
    large = weight(0, 1e-8, -5.0, rms=100.0)
    recording = recorded((1e-8, -5.0), (1e-2, -2.0), (1e-2, -2.0))
    parameters = (large, *recording.parameters[1:])
    assert isinstance(examine(replace(recording, parameters=parameters)), Clear)


def test_what_opens_within_the_probe_steps_is_clear():
    sick = recorded(*STARVED)
    opened = recorded(*((step, -3.0) for step, _ in STARVED))
    assert isinstance(examine(replace(sick, later=opened)), Clear)
    zero = recorded((0.0, -math.inf), (1e-2, -2.0))
    assert isinstance(examine(zero), Found)
    begun = recorded((0.0, -8.0), (1e-2, -2.0))
    assert isinstance(examine(replace(zero, later=begun)), Clear)
    assert isinstance(examine(recorded(*STARVED, later=False)), Clear)


def test_layerwise_rates_by_design_are_normalised():
    layers = [(10.0 ** -(6 - i), -2.0) for i in range(5)]
    recording = recorded(*layers)
    decayed = tuple(
        replace(p, learning_rate=0.1 * 10.0 ** -(4 - i)) for i, p in enumerate(recording.parameters)
    )
    assert isinstance(examine(replace(recording, parameters=decayed, later=None)), Clear)


def test_a_rate_that_stops_the_early_layers_is_named():
    recording = recorded((1e-8, -2.0), (1e-7, -2.0), (1e-2, -2.0))
    rates = (1e-7, 1e-6, 1e-1)
    parameters = tuple(
        replace(p, learning_rate=rate) for p, rate in zip(recording.parameters, rates, strict=True)
    )
    finding = only(examine(replace(recording, parameters=parameters)))
    assert finding.causes == (Cause.LEARNING_RATE,)
    assert finding.message.startswith("the first 2 of 3 weights stand still: a learning rate of")
    off = tuple(replace(p, learning_rate=0.0) for p in parameters[:2])
    frozen = replace(recording, parameters=(*off, parameters[2]))
    assert isinstance(examine(frozen), NotApplicable)


def test_the_floor_of_the_optimiser_comes_first():
    adam = Optimizer(name="Adam", lr=0.1, eps=1e-8)
    grads = {Quantity.LOG10_ACTIVATION_GRAD_RMS: [-9.0, -8.5, -2.0]}
    recording = recorded((1e-7, -9.0), (1e-6, -8.5), (1e-2, -2.0), optimizer=adam)
    profiles = recording_of(*["linear"] * 3, profiles=grads).profiles
    causes = only(examine(replace(recording, profiles=profiles))).causes
    assert causes[0] is Cause.OPTIMISER_FLOOR
    assert len(causes) > 1


def test_parameters_that_are_not_judged():
    for settings in (
        {"requires_grad": False},
        {"in_optimizer": False},
        {"has_grad": False},
        {"shape": (64,)},
    ):
        recording = recorded(*STARVED)
        early = tuple(replace(p, **settings) for p in recording.parameters[:3])
        kept = replace(recording, parameters=(*early, recording.parameters[3]))
        assert isinstance(examine(kept), NotApplicable), settings


def test_what_was_not_measured():
    assert isinstance(examine(recorded((math.nan, -2.0), (math.nan, -2.0))), NotMeasured)
    assert isinstance(examine(recorded((0.0, -2.0), (0.0, -2.0))), NotApplicable)
    assert isinstance(examine(Recording()), NotMeasured)


def unfed(*answers: float | None, grads: tuple[float, ...] = (-3.0,) * 4) -> Recording:
    """Weights without any gradient before others with one; the rms of what layers answer."""
    recording = recorded((0.0, -math.inf), (0.0, -math.inf), (1e-2, -2.0), (1e-2, -2.0))
    profiles = {
        Quantity.ACTIVATION_RMS: [*answers, 1.0, 1.0],
        Quantity.LOG10_ACTIVATION_GRAD_RMS: list(grads),
    }
    measured = recording_of(*["linear"] * 4, profiles=profiles).profiles
    recording = replace(recording, profiles=dict(measured))
    return replace(recording, later=recording)


def test_layers_that_read_nothing_but_zeros_are_a_note():
    behind_biases = only(examine(unfed(None, 1.0)))
    assert behind_biases.severity is Severity.NOTE
    assert "zero throughout this batch" in behind_biases.notes[0]
    nowhere = (-math.inf, -math.inf, -3.0, -3.0)
    assert only(examine(unfed(0.0, 0.0, grads=nowhere))).severity is Severity.NOTE


def test_layers_that_are_starved_beside_them_are_not():
    finding = only(examine(unfed(1.0, 1.0, grads=(-math.inf, -3.0, -3.0, -3.0))))
    assert finding.severity is Severity.ERROR


def test_a_gradient_that_a_hook_takes_is_not_one_that_zeros_take():
    """What comes in is not zero, and a gradient arrives: W x has one, unless it is taken."""
    recording = unfed(1.0, 1.0)
    entered = Profile(Quantity.INPUT_RMS, {0: 1.0})
    finding = only(
        examine(replace(recording, profiles={**recording.profiles, Quantity.INPUT_RMS: entered}))
    )
    assert finding.severity is Severity.ERROR
    assert finding.causes[0] is Cause.DETACHED_GRAPH
    assert "hook" in finding.notes[-1]


def product(log10_grad: float, *, answers: float = 0.6, output: float = -2.0) -> Recording:
    """One layer behind a product of many probabilities, under a loss of 1."""
    profiles = {
        Quantity.LOG10_ACTIVATION_GRAD_RMS: [log10_grad, log10_grad, output],
        Quantity.ACTIVATION_RMS: [answers, 0.5, 1e-19],
    }
    recording = recording_of(
        *("linear", "sigmoid", "prod"),
        profiles=profiles,
        parameters=[weight(0, 0.0, log10_grad)],
        context=RunContext(optimizer=SGD, loss_value=1.0),
    )
    return replace(recording, later=recording)


def test_a_gradient_that_is_lost_behind_all_weights_leaves_none_to_move():
    finding = only(examine(product(-20.0)))
    assert finding.severity is Severity.ERROR
    assert finding.message.startswith("no weight moves: layers.2 prod takes 18 decades")
    assert "logsigmoid" in finding.help[0]
    assumed = replace(product(-20.0), parameters=(weight(0, 0.0, -20.0, in_optimizer=None),))
    assert only(examine(assumed)).severity is Severity.WARNING


@pytest.mark.parametrize(
    "healthy",
    [
        product(-7.0),  # a change of the layer by its own size changes the loss
        product(-20.0, output=-20.0),  # converged: the loss asks for nothing
        product(-20.0, answers=0.0),  # a zero says nothing of what another start would do
        replace(product(-20.0), later=None),
        replace(product(-20.0), later=product(-3.0)),  # it opens
        replace(product(-20.0), parameters=(weight(0, 1e-3, -20.0),)),
        replace(product(-20.0), parameters=(weight(0, 0.0, -20.0, learning_rate=0.0),)),
        replace(product(-20.0), parameters=(replace(weight(0, 0.0, -20.0), name="elsewhere"),)),
    ],
)
def test_other_reasons_to_stand_still_are_not_it(healthy):
    assert not isinstance(examine(healthy), Found)


def test_a_single_number_has_no_direction_to_turn_to():
    layers = [weight(i, 1e-3, -2.0) for i in range(3)]
    gain = weight(3, math.nan, -2.0, shape=(1, 1, 1))  # of a weight normalisation of one output
    sites = recording_of("linear", "linear", "linear", "linear", parameters=[*layers, gain])
    assert isinstance(examine(sites), Clear)
