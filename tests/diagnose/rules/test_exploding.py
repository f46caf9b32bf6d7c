"""UV102: growth of the gradient, alone and beside the signal's, and growth that ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

import unvanish
from unvanish.core.conditions import DataTensor, ProbeStep
from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Recording
from unvanish.core.verdicts import Clear, Found, Verdict
from unvanish.diagnose.rules.exploding import ExplodingGradient
from unvanish.testing import recording_of

examine = ExplodingGradient().examine
LAYERS = 11


def chain(
    gradient: float, signal: float = 0.0, *, data: float = 1.0, later: Recording | None = None
) -> Recording:
    """Build layers over which the gradient grows backward, the signal forward, by decades."""
    steps = ["linear", "relu"] * (LAYERS - 1) + ["linear"]

    def even(decades: float) -> list[float]:
        return [decades * (i // 2) / (LAYERS - 1) for i in range(len(steps))]

    grads = [gradient - value for value in even(gradient)]
    recording = recording_of(
        *steps,
        profiles={
            Quantity.LOG10_ACTIVATION_GRAD_RMS: grads,
            Quantity.LOG10_PROBE_GRAD_RMS: grads,
            Quantity.ACTIVATION_RMS: [10.0**value for value in even(signal)],
        },
        parameters=[
            Parameter(name=f"layers.{i}.weight", shape=(64, 64), update_ratio=1e-2, turn_ratio=1e-2)
            for i in range(0, len(steps), 2)
        ],
        later=later,
    )
    return replace(recording, data=(DataTensor(name="input", rms=data),))


def stepped(recording: Recording, *losses: float) -> Recording:
    steps = (ProbeStep(loss_before=a, loss_after=b) for a, b in pairwise(losses))
    return replace(recording, steps=tuple(steps))


def only(verdict: Verdict) -> Finding:
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    return finding


def test_less_is_allowed_where_the_signal_explodes_too() -> None:
    assert isinstance(examine(chain(3.5)), Clear)
    found = only(examine(chain(3.5, 3.5)))
    assert found.measured == pytest.approx(3.5)
    assert found.limit == 3.0
    assert "the signal as much" in found.message
    assert found.causes[0] is Cause.INIT_TOO_LARGE
    assert isinstance(examine(chain(2.9, 9.0)), Clear)
    assert isinstance(examine(chain(3.9, 2.9)), Clear)


def test_data_as_large_as_the_output_explain_it() -> None:
    assert isinstance(examine(chain(3.5, 3.5, data=1e4)), Clear)
    assert isinstance(examine(chain(3.5, 3.5, data=math.nan)), Found)  # tokens have no size


def test_an_output_that_is_normalised_has_not_grown() -> None:
    recording = chain(3.5, 3.5)
    sizes = recording[Quantity.ACTIVATION_RMS]
    last = max(sizes.values)
    normal = replace(sizes, values={**sizes.values, last: 1.0})
    profiles = {**recording.profiles, Quantity.ACTIVATION_RMS: normal}
    assert isinstance(examine(replace(recording, profiles=profiles)), Clear)


@pytest.mark.parametrize(
    ("losses", "later", "ends"),
    [
        ((2.0, 1.5, 1.0), chain(2.0), True),
        ((2.0, 1.5, 1.0), chain(4.5), False),
        ((2.0, 1.5, 3.0), chain(2.0), False),
        ((2.0, 1.5, math.inf), chain(2.0), False),
        ((2.0, 1.5, 1.0), None, False),
    ],
    ids=["ends", "lasts", "loss rises", "loss overflows", "not looked at"],
)
def test_growth_that_the_first_steps_end(
    losses: Sequence[float], later: Recording | None, ends: bool
) -> None:
    found = examine(stepped(chain(5.0, later=later), *losses))
    assert isinstance(found, Clear if ends else Found)


def test_six_decades_are_not_trusted_to_end() -> None:
    hopeless = only(examine(stepped(chain(6.5, later=chain(1.0)), 2.0, 1.0)))
    assert hopeless.severity is Severity.ERROR


class Iterated(nn.Module):
    """One matrix applied again and again to the same input."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.inject = nn.Linear(16, 48)
        self.recur = nn.Linear(48, 48, bias=False)
        nn.init.normal_(self.recur.weight, std=gain / 48**0.5)
        self.head = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        u = self.inject(x)
        z = torch.zeros_like(u)
        for _ in range(40):
            z = torch.relu(self.recur(z) + u)
        return self.head(z)


@pytest.mark.parametrize(("gain", "explodes"), [(2.2, True), (0.5, False)])
def test_an_iteration_with_no_fixed_point(gain: float, explodes: bool) -> None:
    """What is fed in at every turn crosses every cut and hides how the turns compound."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    batch = torch.randn(32, 16), torch.randint(0, 10, (32,))
    verdict = examine(unvanish.checkup(Iterated(gain), batch, select=["UV102"]).recording)
    assert isinstance(verdict, Found if explodes else Clear)


@pytest.mark.parametrize(("deviation", "found"), [(0.58, True), (0.04, False)])
def test_a_hidden_sine_spans_less_than_a_period(deviation, found):
    """At a frequency of 30: with weights as PyTorch draws them, and with the paper's."""

    class Sine(nn.Module):
        def forward(self, x):
            return torch.sin(30.0 * x)

    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(2, 64),
        Sine(),
        nn.Linear(64, 64),
        Sine(),
        nn.Linear(64, 64),
        Sine(),
        nn.Linear(64, 1),
    )
    for layer in (net[2], net[4]):
        nn.init.normal_(layer.weight, std=deviation / 8)
    report = unvanish.checkup(net, (torch.rand(64, 2), torch.rand(64, 1)), loss=nn.MSELoss())
    assert ("UV102" in {f.code for f in report.findings}) is found
