"""UV105: plain networks beyond their depth scale, and those that have none."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import unvanish
from unvanish.core.conditions import RunContext
from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Edge, Recording
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.rules.critical_depth import CriticalDepth
from unvanish.testing import recording_of

examine = CriticalDepth().examine


def chain(*factors: float, op: str = "tanh") -> Recording:
    """Build linear layers; `factors` are log10 of what each hands back of the gradient."""
    at_layers = [0.0]
    for factor in reversed(factors):
        at_layers.insert(0, at_layers[0] + factor)
    steps = [step for _ in factors for step in ("linear", op)] + ["linear"]
    profile = [at_layers[i // 2] for i in range(len(steps))]
    quantities = (Quantity.LOG10_ACTIVATION_GRAD_RMS, Quantity.LOG10_PROBE_GRAD_RMS)
    return recording_of(
        *steps,
        profiles=dict.fromkeys(quantities, profile) | {Quantity.ACTIVATION_RMS: [1.0] * len(steps)},
        context=RunContext(batch_size=64),
    )


def only(verdict: Verdict) -> Finding:
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    return finding


@pytest.mark.parametrize("factor", [-0.389, -0.2, 0.2])
def test_a_network_beyond_its_depth_scale_is_a_note(factor: float) -> None:
    finding = only(examine(chain(*[factor] * 11)))
    assert finding.severity is Severity.NOTE
    assert finding.measured == 12.0
    assert finding.limit == pytest.approx(6.0 / (2.0 * math.log(10.0) * abs(factor)))
    assert finding.causes[0] is not Cause.INIT_TOO_LARGE or factor > 0


def test_it_is_never_more_than_a_note() -> None:
    assert only(examine(chain(*[-9.0] * 40))).severity is Severity.NOTE


def test_a_network_within_its_depth_scale_is_clear() -> None:
    verdict = examine(chain(*[-0.03] * 11))
    assert isinstance(verdict, Clear)
    assert verdict.margin == pytest.approx(6.0 / (2.0 * math.log(10.0) * 0.03) - 12)
    critical = examine(chain(*[0.0] * 11))
    assert isinstance(critical, Clear)
    assert "a thousand layers or more" in critical.summary


@pytest.mark.parametrize(
    "recording",
    [
        chain(*[-0.4] * 6),
        chain(*[0.0] * 6, *[-0.8] * 6),
        chain(*[0.5, -0.9] * 6),
        chain(*[-0.4] * 11, op="layer_norm"),
        chain(*[-0.4] * 5, -math.inf, *[-0.4] * 5),
    ],
    ids=["shallow", "one half alone", "to and fro", "normalised", "cut"],
)
def test_without_one_factor_there_is_no_depth_scale(recording: Recording) -> None:
    assert isinstance(examine(recording), NotApplicable)


def test_a_shortcut_or_a_concatenation_has_no_depth_scale() -> None:
    recording = chain(*[-0.4] * 11)
    joined = replace(recording, edges=(*recording.edges, Edge(2, 10, -0.3)))
    verdict = examine(joined)
    assert isinstance(verdict, NotApplicable)
    assert "no one factor" in verdict.reason


def test_what_was_not_measured() -> None:
    assert isinstance(examine(recording_of(*["linear", "tanh"] * 11, "linear")), NotMeasured)


class Residual(nn.Module):
    """Layers with shortcuts."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(depth))
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + 0.2 * torch.tanh(layer(x))
        return self.head(x)


def verdict_on(model: nn.Module) -> Verdict:
    torch.manual_seed(1)
    batch = torch.randn(64, 64), torch.randint(0, 10, (64,))
    return unvanish.checkup(model, batch, select=["UV105"]).diagnosis.verdicts["UV105"]


@pytest.mark.parametrize(
    ("act", "factor"), [(nn.ReLU, math.sqrt(1 / 6)), (nn.Tanh, math.sqrt(1 / 3))]
)
def test_default_weights_have_the_factor_of_theory(act: type[nn.Module], factor: float) -> None:
    """Uniform weights within 1 / sqrt(n) have a third of the variance that keeps a tanh."""
    torch.manual_seed(0)
    layers = [m for _ in range(24) for m in (nn.Linear(64, 64), act())]
    finding = only(verdict_on(nn.Sequential(*layers, nn.Linear(64, 10))))
    assert finding.limit == pytest.approx(6.0 / abs(math.log(factor**2)), rel=0.06)
    assert finding.causes[0] is Cause.INIT_TOO_SMALL


def test_orthogonal_tanh_and_shortcuts_are_left_in_peace() -> None:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(24):
        linear = nn.Linear(64, 64)
        nn.init.orthogonal_(linear.weight)
        layers += [linear, nn.Tanh()]
    assert not isinstance(verdict_on(nn.Sequential(*layers, nn.Linear(64, 10))), Found)
    assert isinstance(verdict_on(Residual(24)), NotApplicable)
