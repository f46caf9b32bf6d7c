"""UV101: what is lost on the way to the input, by an optimiser's eyes, and gates that open."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from unvanish.core.conditions import Optimizer, RunContext, ShortTraining
from unvanish.core.findings import Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Recording
from unvanish.core.verdicts import Clear, Found, Verdict
from unvanish.diagnose.rules.vanishing import VanishingGradient
from unvanish.testing import recording_of

examine = VanishingGradient().examine
LAYERS = 11


def chain(*grads: float, later: Recording | None = None, turn: float = math.nan) -> Recording:
    """Build linear layers with a tanh between; `grads` arrive at them, input side first."""
    steps = ["linear", "tanh"] * (len(grads) - 1) + ["linear"]
    profile = [grads[i // 2] for i in range(len(steps))]
    quantities = (Quantity.LOG10_ACTIVATION_GRAD_RMS, Quantity.LOG10_PROBE_GRAD_RMS)
    parameters = [
        Parameter(name=f"layers.{2 * i}.weight", shape=(64, 64), update_ratio=1e-2, turn_ratio=turn)
        for i in range(len(grads) - 1)
    ]
    head = f"layers.{2 * len(grads) - 2}.weight"
    parameters.append(Parameter(name=head, shape=(64, 64), update_ratio=1e-2, turn_ratio=1e-2))
    return recording_of(
        *steps,
        profiles=dict.fromkeys(quantities, profile) | {Quantity.ACTIVATION_RMS: [1.0] * len(steps)},
        parameters=parameters,
        context=RunContext(optimizer=Optimizer(name="SGD", lr=0.1, weight_decay=0.1)),
        later=later,
    )


def fading(decades: float, turn: float = math.nan) -> Recording:
    grads = [-decades * (LAYERS - 1 - i) / (LAYERS - 1) for i in range(LAYERS)]
    return chain(*grads, turn=turn)


def only(verdict: Verdict) -> Finding:
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    return finding


def test_weight_decay_does_not_count_as_movement() -> None:
    """Decay shrinks every matrix by the same share, starved or not."""
    level = fading(3.7, turn=1e-2)
    assert isinstance(examine(level), Clear)
    decayed = only(examine(fading(3.7, turn=1e-5)))
    assert decayed.severity is Severity.ERROR
    assert any("1.0e-05 of its size, weight decay aside" in note for note in decayed.notes)


def test_what_the_optimiser_does_not_move_is_said_so() -> None:
    still = only(examine(fading(8.0, turn=0.0)))
    assert any("does not move layers.0.weight at all, weight decay" in n for n in still.notes)


@pytest.mark.parametrize(
    "now",
    [(-1.0, -1.0, -1.0, 0.0), (-9.0, -9.0, -1.0, 0.0), (-0.5, -0.5, -0.5, 0.0)],
    ids=["wide", "barely", "nearly all the way"],
)
def test_a_gate_that_opens_is_clear_however_slowly(now: tuple[float, ...]) -> None:
    shut = chain(-math.inf, -math.inf, -1.0, 0.0, later=chain(*now))
    verdict = examine(shut)
    assert isinstance(verdict, Clear)
    assert "open the way" in verdict.summary


@pytest.mark.parametrize(
    "now",
    [(-math.inf, -math.inf, -1.0, 0.0), (-math.inf, -1.0, -1.0, 0.0), (-9.0, -6.0, -3.0, 0.0)],
    ids=["shut", "half shut", "open on a slope"],
)
def test_a_gate_that_stays_shut_is_found(now: tuple[float, ...]) -> None:
    assert only(examine(chain(-math.inf, -math.inf, -1.0, 0.0, later=chain(*now))))
    assert only(examine(replace(chain(-math.inf, -math.inf, -1.0, 0.0), later=None)))


@pytest.mark.parametrize(
    ("decades", "after", "mismatched", "severity"),
    [
        (5.0, 0.4, 1.2, Severity.NOTE),
        (5.0, 0.4, 0.7, Severity.WARNING),
        (5.0, 0.8, 2.0, Severity.WARNING),
        (5.0, 0.6, 2.0, Severity.WARNING),
        (5.0, math.inf, math.inf, Severity.WARNING),
        (5.0, math.nan, 1.0, Severity.WARNING),
        (5.0, -1.0, 1.0, Severity.WARNING),
        (7.0, 0.1, 9.0, Severity.ERROR),
    ],
    ids=["learns", "guesses", "rises", "crawls", "explodes", "unread", "negative", "hopeless"],
)
def test_a_copy_that_learns_the_probe_batches_makes_it_a_note(
    decades: float, after: float, mismatched: float, severity: Severity
) -> None:
    run = ShortTraining(steps=60, loss_before=0.7, loss_after=after, loss_mismatched=mismatched)
    found = only(examine(replace(fading(decades, turn=1e-2), training=run)))
    assert found.severity is severity
    assert ("learns all the same" in found.notes[0]) == (severity is Severity.NOTE)
