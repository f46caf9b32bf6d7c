"""UV106: layers that hear the output in one direction only."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import unvanish
from unvanish.core.conditions import RunContext
from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Profile, Recording
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.rules.shattering import IllConditionedJacobian
from unvanish.testing import recording_of

examine = IllConditionedJacobian().examine


def chain(*ranks: float | None, samples: int = 64) -> Recording:
    """Build linear layers at which gradients arrive in these numbers of directions."""
    steps = [step for _ in ranks for step in ("linear", "tanh")][:-1]
    grads = [-2.0] * len(steps)
    quantities = (Quantity.LOG10_ACTIVATION_GRAD_RMS, Quantity.LOG10_PROBE_GRAD_RMS)
    recording = recording_of(
        *steps,
        profiles=dict.fromkeys(quantities, grads),
        context=RunContext(batch_size=samples),
    )
    values = {2 * i: float(rank) for i, rank in enumerate(ranks) if rank is not None}
    if not values:
        return recording
    profile = Profile(Quantity.GRAD_EFFECTIVE_RANK, values)
    return replace(recording, profiles={**recording.profiles, profile.quantity: profile})


def only(verdict: Verdict) -> Finding:
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    return finding


def test_most_layers_in_one_direction_are_a_note() -> None:
    finding = only(examine(chain(*[1.2] * 9, 3.0, 6.0, 10.0)))
    assert finding.severity is Severity.NOTE
    assert "9 of 12 layers" in finding.message
    assert (finding.measured, finding.limit) == (1.2, 2.0)
    assert finding.expected == pytest.approx(1 / (1 / 10 + 1 / 256), rel=0.01)
    assert finding.causes[0] is Cause.DEPTH_WITHOUT_SKIP


def test_a_few_layers_or_enough_directions_are_clear() -> None:
    assert isinstance(examine(chain(*[1.2] * 4, *[8.0] * 8)), Clear)
    verdict = examine(chain(*[5.0] * 11, 10.0))
    assert isinstance(verdict, Clear)
    assert verdict.margin == 3.0


@pytest.mark.parametrize(
    "recording",
    [
        chain(1.2, 1.2, 1.2, 10.0),
        chain(*[1.2] * 11, 3.0),
        chain(*[1.2] * 11, 10.0, samples=4),
        chain(*[None] * 9, 1.2, 1.2, 10.0),
    ],
    ids=["shallow", "few outputs", "few samples", "no gradient yet"],
)
def test_where_it_does_not_apply(recording: Recording) -> None:
    assert isinstance(examine(recording), NotApplicable)


def test_what_was_not_measured() -> None:
    assert isinstance(examine(chain(*[None] * 12)), NotMeasured)
    recording = chain(*[None] * 12)
    loss_only = {
        quantity: profile
        for quantity, profile in recording.profiles.items()
        if quantity is not Quantity.LOG10_PROBE_GRAD_RMS
    }
    verdict = examine(replace(recording, profiles=loss_only))
    assert isinstance(verdict, NotApplicable)
    assert "shows no output" in verdict.reason


class Residual(nn.Module):
    """Linear layers, with or without shortcuts."""

    def __init__(self, depth: int, *, skip: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(nn.Linear(24, 24) for _ in range(depth))
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=24**-0.5)
        self.head, self.skip, self.depth = nn.Linear(24, 10), skip, depth

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            y = layer(x)
            x = x + y / self.depth**0.5 if self.skip else y
        return self.head(x)


def verdict_on(model: nn.Module) -> Verdict:
    torch.manual_seed(1)
    batch = torch.randn(64, 24), torch.randint(0, 10, (64,))
    return unvanish.checkup(model, batch, select=["UV106"]).diagnosis.verdicts["UV106"]


def test_a_deep_narrow_product_of_gaussian_matrices_is_found() -> None:
    finding = only(verdict_on(Residual(120, skip=False)))
    assert finding.measured < 2.0
    assert finding.expected == pytest.approx(1 / (1 / 10 + 1 / 24), rel=0.2)


def test_shortcuts_and_orthogonal_weights_keep_the_directions() -> None:
    assert isinstance(verdict_on(Residual(120, skip=True)), Clear)
    model = Residual(120, skip=False)
    for layer in model.layers:
        nn.init.orthogonal_(layer.weight)
    verdict = verdict_on(model)
    assert isinstance(verdict, Clear)
    assert verdict.margin + 2.0 == pytest.approx(1 / (1 / 10 + 1 / 24), rel=0.2)
