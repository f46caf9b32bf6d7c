"""Every built-in rule keeps the contract: one sick, one healthy, one unmeasured recording."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import pytest

from unvanish.core.conditions import (
    DataRole,
    DataTensor,
    GradientNoise,
    LossTerm,
    Optimizer,
    ProbeStep,
    RunContext,
    TermTrial,
)
from unvanish.core.glossary import Quantity
from unvanish.core.incidents import Crossing, Cut, Gap
from unvanish.core.records import Parameter, Profile, Recording, Role, Site
from unvanish.core.running_statistics import RunningStatistics
from unvanish.core.verdicts import Verdict
from unvanish.diagnose.rules import BUILTIN_RULES
from unvanish.testing import check_rule, recording_of


class Case(NamedTuple):
    sick: Recording
    healthy: Recording
    not_measured: Recording


def saturated(share: float) -> Recording:
    return recording_of(
        "linear", "tanh", "linear", profiles={Quantity.SATURATED_FRACTION: [None, share, None]}
    )


def dead(share: float) -> Recording:
    return recording_of(
        "linear",
        "relu",
        "linear",
        profiles={
            Quantity.DEAD_FRACTION: [None, share, None],
            Quantity.EXPECTED_DEAD_FRACTION: [None, 0.02, None],
        },
    )


def weights(**settings: object) -> list[Parameter]:
    return [Parameter(name="head.weight", shape=(64, 64), log10_grad_rms=-2.0, **settings)]


def finite(share: float) -> Recording:
    return recording_of("linear", "exp", profiles={Quantity.NON_FINITE_FRACTION: [0.0, share]})


def gradient(*gaps: Gap) -> Recording:
    return recording_of("linear", profiles={Quantity.LOG10_ACTIVATION_GRAD_RMS: [-2.0]}, gaps=gaps)


def slope(decades: float) -> Recording:
    """Build twelve layers, each with the given loss of gradient towards the input."""
    quantities = (Quantity.LOG10_ACTIVATION_GRAD_RMS, Quantity.LOG10_PROBE_GRAD_RMS)
    profile = [-2.0 - decades * (11 - i // 2) for i in range(23)]
    activations = {Quantity.ACTIVATION_RMS: [1.0] * 23}
    return recording_of(
        *["linear", "tanh"] * 11,
        "linear",
        profiles=dict.fromkeys(quantities, profile) | activations,
    )


def decayed(decay: float, *, measured: bool = True) -> Recording:
    """One layer under SGD, whose step at a rate of 0.1 turns it by a hundredth and decays it."""
    turn = 0.01 if measured else math.nan
    step = {"turn_ratio": turn, "update_ratio": math.hypot(turn, 0.1 * decay)}
    return recording_of(
        "linear",
        parameters=weights(rms=0.1, in_optimizer=True, learning_rate=0.1, **step),
        context=RunContext(optimizer=Optimizer(name="SGD", lr=0.1, weight_decay=decay)),
    )


def stepped(
    *others: Parameter, steps: tuple[ProbeStep, ...] = (), later: Recording | None = None
) -> Recording:
    """Two layers under AdamW; the first weight, and what more is wanted, as given."""
    head = Parameter(
        name="layers.1.weight",
        shape=(64, 64),
        in_optimizer=True,
        rms=0.1,
        log10_grad_rms=-2.0,
        update_ratio=1e-2,
        turn_ratio=1e-2,
        learning_rate=1e-3,
    )
    context = RunContext(optimizer=Optimizer(name="AdamW", lr=1e-3, eps=1e-8))
    recording = recording_of("linear", "linear", parameters=[*others, head], context=context)
    return replace(recording, steps=steps, later=later)


def moved(name: str, log10: float) -> Parameter:
    """A weight whose gradient and step are both of the given size."""
    step = 10.0**log10
    return Parameter(
        name=name,
        shape=(64, 64),
        in_optimizer=True,
        rms=0.1,
        log10_grad_rms=-2.0 if math.isnan(log10) else log10,
        update_ratio=step,
        turn_ratio=step,
        learning_rate=1e-3,
    )


def noisy(ratio: float, error: float) -> Recording:
    noise = GradientNoise(parts=3, samples=32, signal_to_noise=ratio, standard_error=error)
    return replace(recording_of("linear"), noise=noise)


def recurrence(decades: float) -> Recording:
    """Build a tanh recurrence over 100 steps whose last step alone has a loss."""
    weights = ("rnn.weight_hh_l0",)
    steps = [
        Site(index=0, path="rnn", op=op, call=k, depth=k + 1, weights=used, function="rnn_tanh")
        for k in range(100)
        for op, used in (("linear", weights), ("tanh", ()))
    ]
    gradient = [-decades * (99 - k) for k in range(100) for _ in range(2)]
    return recording_of(
        *steps,
        profiles={
            Quantity.LOG10_ACTIVATION_GRAD_RMS: gradient,
            Quantity.LOG10_LAST_STEP_GRAD_RMS: [
                x if i % 2 == 0 else None for i, x in enumerate(gradient)
            ],
        },
    )


def attention(frozen: float, spread: float) -> Recording:
    profiles = {Quantity.FROZEN_FRACTION: frozen, Quantity.SCORE_SPREAD: spread}
    return recording_of(
        "linear",
        "matmul",
        "softmax",
        "matmul",
        "linear",
        profiles={quantity: [None, None, x, None, None] for quantity, x in profiles.items()},
    )


def gate(opening: float) -> Recording:
    return recording_of(
        "linear", "glu", "linear", profiles={Quantity.GATE_MEAN: [None, opening, None]}
    )


def stuck(share: float) -> Recording:
    """Build a sigmoid output with a share of its error out of the loss's reach."""
    quantities = {
        Quantity.STUCK_FRACTION: [None, share],
        Quantity.LOG10_STUCK_GRAD_RATIO: [None, -5.0],
        Quantity.UNDECIDED_GAIN: [None, 0.3],
    }
    return recording_of("linear", "sigmoid", profiles=quantities)


def rounded(log10_grad: float) -> Recording:
    """Build a layer behind a rounding, with some gradient that reaches it another way."""
    return recording_of(
        "linear",
        "round",
        "linear",
        profiles={Quantity.LOG10_ACTIVATION_GRAD_RMS: [log10_grad, -2.0, -2.0]},
        parameters=[Parameter(name="layers.0.weight", log10_grad_rms=log10_grad)],
    )


def entered(offset: float) -> Recording:
    recording = recording_of(
        "linear",
        "relu",
        "linear",
        profiles={
            Quantity.INPUT_RMS: [1.0, None, None],
            Quantity.INPUT_OFFSET: [offset, None, None],
        },
    )
    return replace(recording, data=(DataTensor(name="input", rms=1.0),))


def aimed(mean: float) -> Recording:
    loss = Site(index=1, path="", op="mse_loss", function="mse_loss", role=Role.LOSS)
    target = DataTensor(
        name="target", role=DataRole.TARGET, shape=(256, 64), mean=mean, std=1.0, site=1
    )
    recording = recording_of(
        "linear",
        loss,
        profiles={
            Quantity.ACTIVATION_RMS: [0.5, None],
            Quantity.ACTIVATION_MEAN: [0.0, None],
        },
    )
    return replace(recording, data=(target,))


def sure(size: float | None, loss: float | None) -> Recording:
    """Build a layer whose ten scores a cross entropy reads, of a network at its start."""
    shape = (32, 10)
    scores = Site(index=0, path="layers.0", op="linear", shape=shape, size=320, weights=("w", "b"))
    softmax = Site(index=1, path="", op="log_softmax", role=Role.LOSS, shape=shape, size=320)
    name = "cross_entropy"
    error = Site(index=2, path="", op="nll_loss", function=name, role=Role.LOSS, size=1)
    return recording_of(
        scores,
        softmax,
        error,
        profiles={Quantity.ACTIVATION_RMS: [size, None, loss]},
        parameters=[Parameter(name="b", shape=(10,), rms=0.0)],
    )


def summed(*log10_grads: tuple[float, float], **trial: float) -> Recording:
    """Build a loss that adds a squared error and a penalty, with the gradients that both send."""
    terms = tuple(
        LossTerm(site=i, is_fit=i == 1, value=0.5, log10_grads=one)
        for i, one in enumerate(log10_grads or ((), ()), start=1)
    )
    asked = TermTrial(term=0, steps=250, factor=100.0, before=1.0, **trial) if trial else None
    recording = recording_of("linear", "mse_loss", "mul")
    return replace(recording, terms=terms, term_trial=asked)


def kept(one: RunningStatistics) -> Recording:
    """Build a network with a normalisation that keeps running statistics."""
    return replace(recording_of("linear", "batch_norm", "relu"), running_statistics=(one,))


DROWNED = ((-2.0, -2.0), (0.0, 0.0))
"""Gradients of two terms, each at its own parameters and at those of the other one."""


def alike(decades: float) -> Recording:
    """Build twelve layers, each of which takes some decades of the samples' differences."""
    spreads = [10.0 ** (-decades * i) if i % 2 == 0 else None for i in range(23)]
    return recording_of(
        *["linear", "tanh"] * 11, "linear", profiles={Quantity.INPUT_SPREAD: spreads}
    )


def units(distinct: float) -> Recording:
    """Build a hidden layer of which a share of the units differ, before and after the steps."""

    def look(rms: float, later: Recording | None = None) -> Recording:
        weight = Parameter(
            name="layers.0.weight", shape=(64, 64), rms=rms, distinct_fraction=distinct
        )
        return recording_of(
            "linear",
            "tanh",
            "linear",
            profiles={Quantity.LOG10_ACTIVATION_GRAD_RMS: [-2.0, -2.0, -2.0]},
            parameters=[weight],
            later=later,
        )

    return look(0.1, look(0.11))


def directions(count: float) -> Recording:
    """Build twelve layers at which the output's demands arrive in some directions."""
    recording = slope(0.02)
    ranks = dict.fromkeys(range(0, 22, 2), count) | {22: 10.0}
    profile = Profile(Quantity.GRAD_EFFECTIVE_RANK, ranks)
    return replace(recording, profiles={**recording.profiles, profile.quantity: profile})


DEEP = recording_of(*["linear", "tanh"] * 11, "linear")

CASES = {
    "UV101": Case(slope(0.85), slope(0.02), DEEP),
    "UV102": Case(slope(-0.85), slope(0.02), DEEP),
    "UV103": Case(alike(1.0), alike(0.02), DEEP),
    "UV104": Case(units(1 / 64), units(1.0), recording_of("linear", "tanh", "linear")),
    "UV105": Case(slope(0.4), slope(0.02), DEEP),
    "UV106": Case(directions(1.2), directions(8.0), DEEP),
    "UV201": Case(saturated(0.97), saturated(0.05), recording_of("linear", "tanh", "linear")),
    "UV202": Case(dead(0.95), dead(0.03), recording_of("linear", "relu", "linear")),
    "UV301": Case(
        recurrence(0.3),
        recurrence(0.01),
        recording_of(*[replace(site, opaque=True) for site in recurrence(0.0).sites[:2]]),
    ),
    "UV302": Case(
        attention(0.95, 300.0),
        attention(0.0, 1.0),
        recording_of("linear", "matmul", "softmax", "matmul", "linear"),
    ),
    "UV303": Case(gate(1e-5), gate(0.5), recording_of("linear", "glu", "linear")),
    "UV401": Case(
        stepped(Parameter(name="layers.0.weight", shape=(64, 64), rms=0.1, log10_grad_rms=-11.0)),
        stepped(Parameter(name="layers.0.weight", shape=(64, 64), rms=0.1, log10_grad_rms=-2.0)),
        recording_of("linear", parameters=[]),
    ),
    "UV203": Case(stuck(0.9), stuck(0.1), recording_of("linear", "sigmoid")),
    "UV204": Case(
        recording_of(
            "linear", "softmax", "log_softmax", profiles={Quantity.ACTIVATION_MEAN: [0.0, 0.1, -2]}
        ),
        recording_of("linear", "log_softmax"),
        replace(recording_of("linear", "log_softmax"), edges=()),
    ),
    "UV205": Case(rounded(-math.inf), rounded(-3.0), recording_of("linear", "round", "linear")),
    "UV402": Case(
        recording_of("linear", parameters=weights(underflow_fraction={"float32": 0.4})),
        recording_of("linear", parameters=weights(underflow_fraction={"float32": 0.0})),
        recording_of("linear", parameters=weights()),
    ),
    "UV403": Case(finite(0.1), finite(0.0), recording_of("linear", "exp")),
    "UV404": Case(
        stepped(steps=(ProbeStep(loss_before=2.0, loss_after=math.inf),)),
        stepped(steps=(ProbeStep(loss_before=2.0, loss_after=1.9),)),
        stepped(),
    ),
    "UV405": Case(
        noisy(0.01, 0.02), noisy(2.0, 0.5), recording_of("linear", context=RunContext(batches=3))
    ),
    "UV406": Case(decayed(9.0), decayed(5e-4), decayed(9.0, measured=False)),
    "UV501": Case(
        recording_of("linear", parameters=[*weights(), Parameter(name="cut", has_grad=False)]),
        recording_of("linear"),
        recording_of("linear", parameters=[]),
    ),
    "UV502": Case(
        stepped(moved("layers.0.weight", -9.0), later=stepped(moved("layers.0.weight", -9.0))),
        stepped(moved("layers.0.weight", -2.0)),
        stepped(moved("layers.0.weight", math.nan)),
    ),
    "UV504": Case(
        stepped(Parameter(name="scale", shape=(1,), in_optimizer=False, log10_grad_rms=-1.0)),
        stepped(),
        recording_of("linear", parameters=[]),
    ),
    "UV505": Case(
        replace(
            stepped(Parameter(name="cut", has_grad=False)),
            cuts=(Cut("data", "", None, ("cut",)),),
        ),
        stepped(),
        recording_of("linear", parameters=[]),
    ),
    "UV503": Case(entered(100.0), entered(0.5), recording_of("linear", "relu", "linear")),
    "UV506": Case(aimed(100.0), aimed(0.5), recording_of("linear")),
    "UV507": Case(sure(40.0, 60.0), sure(0.5, 2.4), sure(None, None)),
    "UV508": Case(
        summed(*DROWNED, after=0.5, mismatched=0.5, balanced=0.2, balanced_mismatched=0.8),
        summed((0.0, 0.0), (0.0, 0.0)),
        summed(),
    ),
    "UV509": Case(
        kept(RunningStatistics(site=1, momentum=0.0, at_start=True)),
        kept(RunningStatistics(site=1, momentum=0.1, at_start=True)),
        kept(RunningStatistics(site=9, momentum=0.0, at_start=True)),
    ),
    "UV510": Case(
        replace(
            recording_of("lstm", "linear"),
            crossing=Crossing(others=7, changed=7, share=0.3, op="lstm", path="layers.0"),
        ),
        replace(recording_of("lstm"), crossing=Crossing(others=7, changed=0, share=0.0)),
        replace(recording_of("lstm"), crossing=Crossing(others=7, changed=7, share=math.nan)),
    ),
    "UV901": Case(gradient(Gap("the inside of LSTM", "it is one step")), gradient(), Recording()),
}

STRANGE = {
    "no numbers": recording_of(
        "linear",
        "relu",
        "tanh",
        "linear",
        profiles={quantity: [math.nan] * 4 for quantity in Quantity},
        context=RunContext(dtype="", loss="mse", loss_value=1.0),
    ),
    "infinities": recording_of(
        "linear",
        "relu",
        "tanh",
        "linear",
        profiles={quantity: [math.inf, -math.inf, math.inf, -1.0] for quantity in Quantity},
    ),
    "no parameters": recording_of("relu", "tanh", parameters=[]),
    "bare parameter": recording_of("linear", parameters=[Parameter(name="w")]),
}


@pytest.mark.parametrize("rule", BUILTIN_RULES, ids=lambda rule: rule.code)
def test_the_rule_keeps_the_contract(rule):
    assert rule.code in CASES, f"write a sick, a healthy and an unmeasured case for {rule.code}"
    check_rule(rule, **CASES[rule.code]._asdict())


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize("rule", BUILTIN_RULES, ids=lambda rule: rule.code)
def test_the_rule_survives_a_strange_recording(rule, name):
    assert isinstance(rule.examine(STRANGE[name]), Verdict)


def test_codes_stand_in_order_and_once():
    codes = [rule.code for rule in BUILTIN_RULES]
    assert codes == sorted(set(codes))
