"""Heavy dropout is asked of training, whether a module or a function drops."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import unvanish
from unvanish.core.findings import Cause, Severity
from unvanish.observe.dropout import WithoutDropout


class Dropping(nn.Module):
    """Hidden layers with dropout behind each, as a module or as a function."""

    def __init__(self, p: float, depth: int, *, called: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(depth))
        self.drop = nn.Identity() if called else nn.Dropout(p)
        self.head = nn.Linear(32, 4)
        self.p, self.called = p, called

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = self.drop(torch.relu(layer(x)))
            x = F.dropout(x, self.p, self.training) if self.called else x
        scores: torch.Tensor = self.head(x)
        return scores


def looked_at(p: float, depth: int, *, called: bool = False) -> unvanish.Report:
    torch.manual_seed(0)
    model = Dropping(p, depth, called=called)
    inputs = [torch.randn(64, 32) for _ in range(3)]
    data = [(x, (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()) for x in inputs]
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return unvanish.checkup(model, data=data, loss=F.cross_entropy, optimizer=optimizer)


@pytest.mark.parametrize("called", [False, True])
def test_dropout_that_drowns_the_signal_is_a_warning(called: bool) -> None:
    report = looked_at(0.9, 4, called=called)
    (finding,) = (f for f in report.findings if f.code == "UV405")
    assert finding.severity is Severity.WARNING
    assert finding.causes == (Cause.DROPOUT,)
    assert "write 0.1 in place of 0.9" in finding.help[0]
    run = report.recording.training
    assert run is not None
    assert run.dropped == pytest.approx(0.9)
    assert run.loss_undropped < 0.5 * run.loss_whole_before


@pytest.mark.parametrize(("p", "depth"), [(0.7, 1), (0.8, 1), (0.6, 2)])
def test_heavy_dropout_that_a_network_learns_against_is_none(p: float, depth: int) -> None:
    report = looked_at(p, depth)
    assert report.recording.training is not None
    assert not any(f.code == "UV405" and f.severity > Severity.NOTE for f in report.findings)


def test_dropout_of_one_half_is_not_asked_about() -> None:
    assert looked_at(0.5, 4).recording.training is None


def test_without_dropout_everything_passes_and_nothing_is_drawn() -> None:
    x = torch.ones(8, 4, requires_grad=True)
    before = torch.get_rng_state()
    with WithoutDropout() as without:
        out = [
            nn.Dropout(0.3)(x),
            F.dropout(x, p=0.6),
            F.dropout(x, 0.9, False),
            F.alpha_dropout(x),
        ]
        out.append(nn.Dropout1d(0.2)(x.unsqueeze(0))[0])
    assert all(torch.equal(one, x) for one in out)
    assert without.largest == pytest.approx(0.6)
    assert torch.equal(torch.get_rng_state(), before)
