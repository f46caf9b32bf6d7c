"""UV401: layers below eps, all layers below eps, and what is left alone."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from unvanish.core.conditions import Optimizer, RunContext
from unvanish.core.findings import Cause, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Edge, Parameter, Recording
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured
from unvanish.diagnose.rules.optimiser_floor import OptimiserFloor
from unvanish.testing import recording_of

ADAM = Optimizer(name="AdamW", lr=1e-3, eps=1e-8)


def weight(index: int, log10: float, **settings) -> Parameter:
    fields = {
        "shape": (64, 64),
        "rms": 0.1,
        "in_optimizer": True,
        "learning_rate": 1e-3,
        "turn_ratio": 1e-2 * min(1.0, 10 ** (log10 + 8.0)),
    }
    return Parameter(name=f"layers.{index}.weight", log10_grad_rms=log10, **(fields | settings))


def recorded(
    *log10: float, optimizer: Optimizer = ADAM, loss: float = 2.0, later: Recording | None = None
) -> Recording:
    """Three layers; the gradient of each output is as small as that of its weight."""
    return recording_of(
        *["linear"] * len(log10),
        profiles={
            Quantity.LOG10_ACTIVATION_GRAD_RMS: list(log10),
            Quantity.ACTIVATION_RMS: [1.0] * len(log10),
        },
        parameters=[weight(i, value) for i, value in enumerate(log10)],
        context=RunContext(optimizer=optimizer, loss="mse", loss_value=loss, batch_size=256),
        later=later,
    )


def examine(recording: Recording):
    return OptimiserFloor().examine(recording)


def only(verdict):
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    assert finding.causes[0] is Cause.OPTIMISER_FLOOR
    return finding


def test_layers_a_decade_below_eps_are_a_warning_and_three_an_error():
    finding = only(examine(recorded(-10.0, -9.5, -2.0)))
    assert finding.severity is Severity.WARNING
    assert finding.measured == pytest.approx(2.0)
    assert finding.message == (
        "the gradient of layers.0.weight is 2.0 decades below the optimiser's eps, "
        "and 1 more of 3 weights are below it"
    )
    assert only(examine(recorded(-12.0, -5.0, -2.0))).severity is Severity.ERROR


def test_what_shrank_the_gradient_is_named_too():
    finding = only(examine(recorded(-12.0, -7.0, -2.0)))
    assert Cause.INIT_TOO_SMALL in finding.causes


def test_half_a_decade_below_is_clear():
    assert isinstance(examine(recorded(-8.5, -5.0, -2.0)), Clear)


def test_a_converged_network_and_a_small_loss_are_a_note():
    assert only(examine(recorded(-9.5, -9.3, -9.1))).severity is Severity.NOTE


def test_a_thousandth_of_every_step_is_a_warning():
    assert only(examine(recorded(-12.0, -11.5, -11.2))).severity is Severity.WARNING


def test_a_loss_of_zero_has_nothing_left_to_learn():
    assert isinstance(examine(recorded(-12.0, -11.5, -11.2, loss=0.0)), Clear)


def test_an_eps_of_one_turns_adam_into_gradient_descent():
    large = replace(ADAM, eps=1.0)
    recording = recorded(-2.5, -2.3, -2.1, optimizer=large)
    slow = tuple(replace(p, turn_ratio=2e-5) for p in recording.parameters)
    assert only(examine(replace(recording, parameters=slow))).severity is Severity.WARNING
    fast = tuple(replace(p, turn_ratio=2e-3) for p in recording.parameters)
    assert only(examine(replace(recording, parameters=fast))).severity is Severity.NOTE


def test_the_assumed_optimiser_is_nobodys_fault():
    recording = recorded(-12.0, -5.0, -2.0)
    unknown = tuple(replace(p, in_optimizer=None) for p in recording.parameters)
    assert only(examine(replace(recording, parameters=unknown))).severity is Severity.NOTE


@pytest.mark.parametrize("name", ["SGD", "Lion", "Muon", "AdaMuon", "Adafactor"])
def test_optimisers_with_another_eps_or_none(name):
    optimizer = Optimizer(name=name, lr=1e-3, eps=1e-8)
    assert isinstance(examine(recorded(-12.0, -2.0, optimizer=optimizer)), NotApplicable)


@pytest.mark.parametrize("name", ["Adam", "NAdam", "RMSprop", "Adagrad", "StableAdamW"])
def test_optimisers_that_divide_by_size_plus_eps(name):
    optimizer = Optimizer(name=name, lr=1e-3, eps=1e-8)
    assert isinstance(examine(recorded(-12.0, -2.0, optimizer=optimizer)), Found)


def test_structural_zeros_and_embeddings_are_left_alone():
    recording = recorded(-3.0, -2.0)
    bias = Parameter(name="b", shape=(64,), log10_grad_rms=-17.0, in_optimizer=True)
    nothing = weight(9, -math.inf)
    more = replace(recording, parameters=(*recording.parameters, bias, nothing))
    assert isinstance(examine(more), Clear)
    rows = recording_of(
        "embedding",
        "linear",
        parameters=[weight(0, -12.0), weight(1, -2.0)],
        context=RunContext(optimizer=ADAM),
    )
    assert isinstance(examine(rows), Clear)


def test_a_rest_of_rounding_is_no_gradient():
    """The layer's output has a gradient of 1e-2; that of its weight cancels to 1e-12."""
    recording = recorded(-2.0, -2.0)
    cancelled = (weight(0, -12.0), weight(1, -2.0))
    assert isinstance(examine(replace(recording, parameters=cancelled)), Clear)


def test_what_a_softmax_over_equal_values_leaves_is_rounding():
    """Nine decades in one softmax: the scores cannot tell the keys apart."""
    sick = ("linear", "mul", "linear")
    for steps, kind in ((sick, Found), (("linear", "softmax", "linear"), Clear)):
        log10 = [-11.0, -11.0, -2.0]
        grads = {Quantity.LOG10_ACTIVATION_GRAD_RMS: log10, Quantity.ACTIVATION_RMS: [1.0] * 3}
        recording = recording_of(
            *steps,
            profiles=grads,
            parameters=[weight(0, -11.0), weight(2, -2.0)],
            context=RunContext(optimizer=ADAM, loss="mse", loss_value=1.0),
        )
        edges = (Edge(0, 1, -9.0), Edge(1, 2, 0.0))
        assert isinstance(examine(replace(recording, edges=edges)), kind)


def test_a_gate_that_opens_is_left_alone():
    later = recorded(-5.0, -5.0, -2.0)
    assert isinstance(examine(recorded(-10.0, -9.5, -2.0, later=later)), Clear)
    assert isinstance(examine(recorded(-10.0, -9.5, -2.0, later=recorded(-10, -9, -2))), Found)


def test_a_whole_step_counts_whatever_eps_is():
    recording = recorded(-12.0, -5.0, -2.0)
    whole = tuple(replace(p, turn_ratio=1e-2) for p in recording.parameters)
    assert isinstance(examine(replace(recording, parameters=whole)), Clear)


def test_a_weak_branch_beside_a_strong_one_is_a_note():
    recording = recorded(-12.0, -3.0, -2.0)
    norms = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]
    assert examine(recording).findings[0].severity is Severity.ERROR
    # The value beside the query: same depth, same input, and a gradient of ordinary size.
    beside = replace(recording.sites[0], path="value", weights=("value.weight",), index=3)
    values = {**norms.values, 3: -2.0}
    recording = replace(
        recording,
        sites=(*recording.sites, beside),
        profiles={**recording.profiles, norms.quantity: replace(norms, values=values)},
    )
    assert examine(recording).findings[0].severity is Severity.NOTE


def test_nothing_recorded():
    assert isinstance(examine(Recording()), NotMeasured)
    assert isinstance(examine(recorded(math.nan, math.nan)), NotMeasured)
    assert isinstance(examine(recorded(-math.inf, -math.inf)), NotApplicable)
