"""A network that is judged in evaluation mode, with running statistics that lag behind."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.diagnose.rules.test_lagging_statistics import kept
from torch import nn

import unvanish
from unvanish.core.cures import Origin
from unvanish.core.proofs import Conclusion
from unvanish.curing.given import recipe_from
from unvanish.curing.known import Known
from unvanish.curing.sources import Sources
from unvanish.diagnose import diagnose


def network(momentum: float) -> nn.Module:
    norm = nn.BatchNorm1d(16, momentum=momentum)
    return nn.Sequential(nn.Linear(4, 16), norm, nn.ReLU(), nn.Linear(16, 1))


def test_what_a_run_is_too_short_for() -> None:
    before = kept(momentum=0.0003, at_start=True)
    known = Known(
        origin=Origin(target=""),
        folder=Path(),
        recipe=recipe_from(network(0.0003), batch=torch.zeros(2, 4)),
        sources=Sources(),
        before=before,
        diagnosis=diagnose(before),
        data=None,
        names=(),
        keep_architecture=False,
    )
    assert known.lags(500)
    assert not known.lags(10_000)


@pytest.mark.slow
def test_a_note_leads_to_the_remedy() -> None:
    random = torch.Generator().manual_seed(0)
    x = 30.0 + 5.0 * torch.randn(320, 4, generator=random)
    y = ((x[:, :1] - 30.0) / 5.0).abs()
    cured = unvanish.cure(
        lambda: network(0.0003),
        data=[(a, b) for a, b in zip(x.split(32), y.split(32), strict=True)],
        loss=nn.functional.l1_loss,
        optimizer=lambda model: torch.optim.Adam(model.parameters(), lr=1e-2),
        budget="80steps",
        seeds=3,
        engine="inline",
        resume=False,
    )
    assert cured.conclusion is Conclusion.IMPROVED
    assert cured.remedies == ("running-statistics",)
