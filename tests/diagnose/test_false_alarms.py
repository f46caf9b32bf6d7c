"""Healthy networks that other tools flag: no rule may say more than a note about them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from unvanish.core.conditions import RunContext
from unvanish.core.findings import Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Profile, Recording, Site
from unvanish.core.verdicts import NotMeasured
from unvanish.diagnose import diagnose
from unvanish.testing import recording_of


def healthy(
    *steps: str | Site,
    profiles: dict[Quantity, Sequence[float | None]] | None = None,
    log10_grad: float = -2.0,
    **settings: object,
) -> Recording:
    """A chain with a flat gradient and finite values, plus what a test is about."""
    basis = {
        Quantity.LOG10_ACTIVATION_GRAD_RMS: [log10_grad] * len(steps),
        Quantity.LOG10_PROBE_GRAD_RMS: [0.0] * len(steps),
        Quantity.ACTIVATION_RMS: [1.0] * len(steps),
        Quantity.NON_FINITE_FRACTION: [0.0] * len(steps),
        Quantity.NON_FINITE_GRAD_FRACTION: [0.0] * len(steps),
    }
    return recording_of(*steps, profiles=basis | (profiles or {}), **settings)


def weight(name: str, log10: float = -2.0, lost: float = 0.0, **settings: object) -> Parameter:
    underflow = {"float32": 0.0, "bfloat16": 0.0, "float16": lost}
    fields = {"shape": (64, 64), "rms": 0.125, "underflow_fraction": underflow}
    return Parameter(name=name, log10_grad_rms=log10, **(fields | settings))


def relu(dead: float, expected: float, batch: int = 256, units: int = 64) -> Recording:
    step = Site(index=0, path="net.1", op="relu", shape=(batch, units), size=batch * units)
    profiles = {
        Quantity.DEAD_FRACTION: [None, dead, None],
        Quantity.EXPECTED_DEAD_FRACTION: [None, expected, None],
    }
    return healthy("linear", step, "linear", profiles=profiles)


SATURATED_GATE = Site(index=0, path="lstm", op="sigmoid", can_saturate=True, gates=True)
TANH_OUTPUT = Site(index=0, path="actor", op="tanh", can_saturate=True, is_output=True)
HALF = RunContext(autocast="float16", batch_size=256)

HEALTHY = {
    "loss scaled by 1e-6": healthy(
        "linear", log10_grad=-8.0, parameters=[weight("w", -8.0, lost=0.9)]
    ),
    "converged": healthy("linear", log10_grad=-9.0, parameters=[weight("w", -9.0, lost=1.0)]),
    "50,000 classes": healthy("linear", log10_grad=-6.5, parameters=[weight("w", -6.5)]),
    "one layer x1000, the next /1000": healthy(
        "linear",
        "linear",
        profiles={
            Quantity.ACTIVATION_RMS: [1000.0, 1.0],
            Quantity.LOG10_ACTIVATION_GRAD_RMS: [-5.0, -2.0],
            Quantity.LOG10_PROBE_GRAD_RMS: [-3.0, 0.0],
        },
        parameters=[weight("a", -5.0, rms=125.0), weight("b", 1.0, rms=1.25e-4)],
    ),
    "bias before BatchNorm": healthy(
        "conv2d",
        "batch_norm",
        parameters=[weight("w"), weight("b", -17.0, lost=1.0, shape=(64,))],
        context=HALF,
    ),
    "key bias of attention": healthy(
        "linear", parameters=[weight("q"), weight("k.bias", -16.0, 1.0, shape=(64,))], context=HALF
    ),
    "zero-initialised branch": healthy(
        "linear",
        parameters=[
            weight("branch", -math.inf, math.nan, zero_fraction=1.0),
            weight("gate", shape=(1,), rms=0.0),
            weight("head"),
        ],
        context=HALF,
    ),
    "LoRA": healthy(
        "linear",
        parameters=[
            weight("base", requires_grad=False, has_grad=False),
            weight("lora_A", -math.inf, math.nan, zero_fraction=1.0),
            weight("lora_B", 0.0, rms=0.0),
        ],
    ),
    "frozen backbone": healthy(
        "linear",
        parameters=[weight("body", requires_grad=False, has_grad=False), weight("head")],
    ),
    "embedding with untouched rows": healthy(
        "embedding", parameters=[weight("embedding", -3.0, shape=(50_000, 64), zero_fraction=0.0)]
    ),
    "ReLU sparsity": relu(0.0, 0.0),
    "ReLU sparsity of a batch of 8": relu(0.11, 0.1, batch=8),
    "one sample": relu(0.53, 0.5, batch=1),
    "one sample in a narrow layer": relu(0.75, 0.5, batch=1, units=8),
    "a deep ReLU network whose samples look alike": relu(0.5, 0.498),
    "auxiliary head unused in this loss": healthy(
        "linear",
        parameters=[weight("w"), weight("aux", math.nan, feeds_loss=False, has_grad=False)],
    ),
    "momentum target": healthy(
        "linear",
        parameters=[
            weight("online.0.weight"),
            weight("target.0.weight", math.nan, has_grad=False, in_optimizer=False),
        ],
    ),
    "momentum target, optimiser unknown": healthy(
        "linear",
        parameters=[
            weight("online.0.weight"),
            weight("target.0.weight", math.nan, has_grad=False),
        ],
    ),
    "gates of an LSTM": healthy(
        SATURATED_GATE, profiles={Quantity.SATURATED_FRACTION: [1.0]}, parameters=[weight("w")]
    ),
    "a confident output": healthy(
        "linear", TANH_OUTPUT, profiles={Quantity.SATURATED_FRACTION: [None, 0.99]}
    ),
    "hardtanh with a third beyond the edge": healthy(
        "linear", "hardtanh", "linear", profiles={Quantity.SATURATED_FRACTION: [None, 0.32, None]}
    ),
    "attention mask": healthy(
        "linear",
        "masked_fill",
        "softmax",
        "linear",
        profiles={Quantity.NON_FINITE_FRACTION: [0.0, 0.5, 0.0, 0.0]},
    ),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_network_is_left_in_peace(name):
    loud = [f for f in diagnose(HEALTHY[name]).findings if f.severity is not Severity.NOTE]
    assert not loud, "\n".join(f"{f.code}: {f.message}" for f in loud)


def test_the_alarms_do_work():
    """The same helpers with sick numbers are found, so the silence above means something."""
    sick = {
        "UV202": relu(0.9, 0.1),
        "UV402": healthy("linear", parameters=[weight("w", -9.0, lost=0.9)], context=HALF),
        "UV403": healthy("linear", profiles={Quantity.NON_FINITE_FRACTION: [0.1]}),
        "UV501": healthy("linear", parameters=[weight("a"), weight("b", has_grad=False)]),
    }
    for code, recording in sick.items():
        assert code in {f.code for f in diagnose(recording).findings}


def test_no_gradient_profile_is_never_clear():
    recording = healthy("linear")
    profiles = {**recording.profiles}
    profiles[Quantity.LOG10_ACTIVATION_GRAD_RMS] = Profile(Quantity.LOG10_ACTIVATION_GRAD_RMS, {})
    bare = Recording(sites=recording.sites, profiles=profiles, parameters=recording.parameters)
    diagnosis = diagnose(bare)
    assert diagnosis.worst == "warning"
    assert not isinstance(diagnosis.verdicts["UV901"], NotMeasured)
