"""Networks whose samples differ in one direction are asked whether they learn."""

from __future__ import annotations

import torch
from torch import nn

import unvanish
from unvanish.core.findings import Severity


class Averaging(nn.Module):
    """Graph convolutions that average over a ring of communities."""

    mean: torch.Tensor

    def __init__(self, depth: int, *, skip: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(24, 24) for _ in range(depth))
        for layer in self.layers:
            nn.init.xavier_uniform_(layer.weight)
        self.head = nn.Linear(24, 4)
        self.skip = skip
        chosen = (LABELS[:, None] == LABELS[None]).float() * 0.03 + 0.003
        edges = torch.rand(200, 200, generator=torch.Generator().manual_seed(0)) < chosen
        near = ((edges | edges.T).float() + torch.eye(200)).clamp(max=1.0)
        self.register_buffer("mean", near / near.sum(dim=1, keepdim=True))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            new = torch.relu(self.mean @ layer(x))
            x = x + new if self.skip else new
        scores: torch.Tensor = self.head(x)
        return scores


LABELS = torch.arange(200) % 4


def flat(*, skip: bool) -> list[Severity]:
    torch.manual_seed(0)
    x = torch.randn(200, 24)
    model = Averaging(12, skip=skip)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)
    report = unvanish.checkup(model, batch=(x, LABELS), loss="cross_entropy", optimizer=optimizer)
    return [f.severity for f in report.findings if f.code == "UV103"]


def test_a_stack_of_averages_that_learns_nothing_is_a_warning() -> None:
    assert flat(skip=False) == [Severity.WARNING]


def test_one_that_learns_is_no_more_than_a_note() -> None:
    assert Severity.WARNING not in flat(skip=True)
