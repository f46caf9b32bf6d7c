"""UV201: saturation of hidden activations, and what only looks like it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish import checkup
from unvanish.core.findings import Cause, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Recording, Role, Site
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured
from unvanish.diagnose.rules.saturated import SaturatedActivation
from unvanish.testing import recording_of

examine = SaturatedActivation().examine


def tanh_stack(*shares: float | None) -> Recording:
    """linear-tanh for every share, then a linear head."""
    values = [value for share in shares for value in (None, share)]
    return recording_of(
        *["linear", "tanh"] * len(shares),
        "linear",
        profiles={Quantity.SATURATED_FRACTION: [*values, None]},
    )


def only(verdict):
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    return finding


@pytest.mark.parametrize(
    ("shares", "severity"),
    [
        ((0.1, 0.6, 0.1), Severity.WARNING),
        ((0.1, 0.93, 0.1), Severity.WARNING),
        ((0.1, 0.96, 0.1), Severity.ERROR),
        ((0.6, 0.7, 0.1), Severity.ERROR),
        ((0.6, 0.7, 0.1, 0.1), Severity.WARNING),
        ((0.6,), Severity.WARNING),
        ((0.92,), Severity.ERROR),
    ],
)
def test_severity(shares, severity):
    finding = only(examine(tanh_stack(*shares)))
    assert finding.severity is severity
    assert finding.measured == max(shares)
    assert finding.sites[0].index == 2 * shares.index(max(shares)) + 1
    assert len(finding.sites) == sum(share > 0.5 for share in shares)


def test_clear_says_by_how_much():
    verdict = examine(tanh_stack(0.05, 0.45))
    assert isinstance(verdict, Clear)
    assert verdict.margin == pytest.approx(0.05)
    assert "at most 45 % of the entries" in verdict.summary


def test_what_was_not_seen_is_said():
    assert "1 more could not be measured" in examine(tanh_stack(0.05, None)).summary
    assert isinstance(examine(tanh_stack(None, None)), NotMeasured)


@pytest.mark.parametrize(
    "change",
    [{"is_output": True}, {"gates": True}, {"can_saturate": False}, {"role": Role.LOSS}],
    ids=lambda change: next(iter(change)),
)
def test_outputs_gates_and_other_functions_are_left_in_peace(change):
    """Saturated logits, LSTM gates and large values of linear layers are healthy."""
    recording = tanh_stack(1.0)
    sites = list(recording.sites)
    sites[1] = replace(sites[1], **change)
    assert isinstance(examine(replace(recording, sites=tuple(sites))), NotApplicable)


def test_a_healthy_hardtanh_has_a_third_of_its_entries_beyond_the_edge():
    step = Site(index=0, path="a", op="hardtanh", can_saturate=True, slope_cap=1.0)
    recording = recording_of(step, profiles={Quantity.SATURATED_FRACTION: [0.32]})
    assert isinstance(examine(recording), Clear)


def caused_by(*, input_rms: float, gain: float, bias: float = 0.0, before: str = "") -> Cause:
    """Build one saturated tanh behind a layer with the given factors."""
    pre = (input_rms**2 * gain**2 + bias**2) ** 0.5
    steps = [before, "linear", "tanh", "linear"] if before else ["linear", "tanh", "linear"]
    at = len(steps) - 3
    rms = {at: pre, at + 1: 1.0, at + 2: 0.5} | ({0: input_rms} if before else {})
    name = f"layers.{at}"
    recording = recording_of(
        *steps,
        profiles={
            Quantity.SATURATED_FRACTION: [0.97 if i == at + 1 else None for i in range(len(steps))],
            Quantity.ACTIVATION_RMS: [rms[i] for i in range(len(steps))],
        },
        parameters=[
            Parameter(name=f"{name}.weight", shape=(64, 100), rms=gain / 10),
            Parameter(name=f"{name}.bias", shape=(64,), rms=bias),
        ],
    )
    return only(examine(recording)).causes[0]


def test_the_cause_is_the_factor_that_is_large():
    assert caused_by(input_rms=100.0, gain=0.6) is Cause.INPUT_SCALE
    assert caused_by(input_rms=1.0, gain=8.0) is Cause.INIT_TOO_LARGE
    assert caused_by(input_rms=1.0, gain=1.0, bias=9.0) is Cause.BIAS
    assert caused_by(input_rms=100.0, gain=0.6, before="mul") is Cause.INPUT_SCALE


def test_behind_a_norm_the_scale_of_the_input_is_no_cause():
    assert caused_by(input_rms=100.0, gain=0.6, before="layer_norm") is Cause.INIT_TOO_LARGE


def test_without_numbers_the_weights_are_blamed():
    assert only(examine(tanh_stack(0.97))).causes == (Cause.INIT_TOO_LARGE, Cause.SATURATION)


class Sequence(nn.Module):
    """A state that a gate lets decay, written in several ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.way = way
        self.value, self.gate = nn.Linear(8, 16), nn.Linear(8, 16)
        nn.init.constant_(self.gate.bias, 8.0)
        self.rate = nn.Parameter(torch.full((16,), -3.0))
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        g, v = torch.sigmoid(self.gate(x)), self.value(x)
        if self.way == "hidden":  # not a gate: the next layer works on it
            return self.head(g.mean(1))
        if self.way == "cumsum":
            total = (-5.0 * (1 - g)).cumsum(1)
            return self.head((v * torch.exp(total[:, -1:] - total)).sum(1))
        if self.way == "data":
            return self.head((g * torch.relu(v) + (1 - g) * torch.cat([x, x], -1)).mean(1))
        decay, state = torch.exp(-self.rate.exp() * g), 0
        for t in range(x.shape[1]):
            state = decay[:, t] * state + (1 - decay[:, t]) * v[:, t]
        return self.head(state)


@pytest.mark.parametrize("way", ["loop", "cumsum", "data"])
def test_a_decay_that_sits_at_its_edge_stands_in_nobodys_way(way):
    batch = (torch.randn(32, 6, 8), torch.randint(0, 3, (32,)))
    report = checkup(Sequence(way), batch, loss=F.cross_entropy, select=["UV201"])
    assert not report.findings


def test_the_same_sigmoid_before_a_layer_is_saturated():
    batch = (torch.randn(32, 6, 8), torch.randint(0, 3, (32,)))
    report = checkup(Sequence("hidden"), batch, loss=F.cross_entropy, select=["UV201"])
    (finding,) = report.findings
    assert finding.causes[0] is Cause.BIAS


def test_a_bias_that_is_added_by_hand_is_a_bias():
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.randn(8, 32) * 0.2)
            self.b = nn.Parameter(torch.full((32,), 7.0))
            self.v = nn.Parameter(torch.randn(32, 3) * 0.2)

        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(x @ self.w + self.b) @ self.v

    torch.manual_seed(0)
    batch = (torch.randn(32, 8), torch.randint(0, 3, (32,)))
    (finding,) = checkup(Plain(), batch, loss=F.cross_entropy, select=["UV201"]).findings
    assert finding.causes[0] is Cause.BIAS
