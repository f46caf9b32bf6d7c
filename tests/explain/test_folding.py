"""Equal blocks are folded, whichever way through them the gradient was strongest."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import unvanish
from unvanish.core.explanations import Level, total


class Block(nn.Module):
    def __init__(self, width: int, *, deep: bool = False) -> None:
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width) if deep else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.second(torch.relu(self.first(x)))


def ledger(*blocks: nn.Module, width: int = 16):
    torch.manual_seed(0)
    for block in blocks:
        for weight in block.parameters():
            if weight.dim() > 1:
                nn.init.kaiming_normal_(weight)
    model = nn.Sequential(nn.Linear(8, width), *blocks, nn.Linear(width, 4))
    batch = torch.randn(32, 8), torch.randint(4, (32,))
    report = unvanish.checkup(model, batch, loss="cross_entropy", probe_steps=0)
    return report.explain().ledger


def test_residual_blocks_fold_although_the_strongest_way_differs() -> None:
    found = ledger(*[Block(16) for _ in range(12)])
    (group,) = [term for term in found.children if term.level is Level.GROUP]
    assert group.repeats == 12
    assert group.name.startswith("12 x ")
    ways = {tuple(child.level for child in block.children) for block in group.children}
    assert len(ways) > 1  # through the skip here, through the branch there


def test_blocks_of_another_build_are_not_folded_with_them() -> None:
    found = ledger(*[Block(16) for _ in range(4)], *[Block(16, deep=True) for _ in range(5)])
    groups = [term.repeats for term in found.children if term.level is Level.GROUP]
    assert groups == [5, 4]  # from the loss to the input


def test_two_of_a_kind_stay_as_they_are() -> None:
    found = ledger(Block(16), Block(16))
    assert not [term for term in found.children if term.level is Level.GROUP]


@pytest.mark.parametrize("depth", [3, 7])
def test_a_group_is_the_sum_of_its_blocks(depth: int) -> None:
    found = ledger(*[Block(16) for _ in range(depth)])
    for term in (found, *(t for t in found.children if t.level is Level.GROUP)):
        assert term.log10_gain == pytest.approx(total([c.log10_gain for c in term.children]))


class Steps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(4, 16, batch_first=True)
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(x)[0][:, -1])


def test_what_is_lost_through_time_is_told_step_by_step() -> None:
    torch.manual_seed(0)
    batch = torch.randn(32, 80, 4), torch.randint(3, (32,))
    report = unvanish.checkup(Steps(), batch, loss="cross_entropy", probe_steps=0)
    found = next(finding for finding in report.findings if finding.code == "UV301")
    explanation = report.explain()
    assert explanation.code == "UV301"
    (group,) = [term for term in explanation.ledger.children if term.level is Level.GROUP]
    assert group.repeats > 70
    assert -group.log10_gain == pytest.approx(found.measured, rel=0.1)
    assert f"blocks: {group.repeats} x (" in report.text()
