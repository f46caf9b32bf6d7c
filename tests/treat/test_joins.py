"""Which sums are residual branches."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from unvanish.treat.calls import calls_of
from unvanish.treat.joins import branches_of


class Coded(nn.Module):
    """A discrete code whose gradient goes past it, or a branch that is learnt."""

    def __init__(self, *, is_code: bool) -> None:
        super().__init__()
        self.is_code = is_code
        self.into, self.out = nn.Linear(8, 4), nn.Linear(4, 2)
        self.book = nn.Embedding(16, 4)
        self.branch = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        z = self.into(x)
        if self.is_code:
            chosen = self.book(torch.cdist(z, self.book.weight).argmin(1))
            z = z + (chosen - z).detach()
        else:
            z = z + torch.relu(self.branch(z))
        answer: Tensor = self.out(z)
        return answer


@pytest.mark.parametrize("is_code", [True, False])
def test_a_discrete_code_is_no_branch(is_code: bool) -> None:
    model = Coded(is_code=is_code)
    found = branches_of(calls_of(model, torch.randn(6, 8)), model)
    assert [branch.weights for branch in found] == ([] if is_code else [("branch.weight",)])


def test_a_frozen_branch_is_one() -> None:
    model = Coded(is_code=False).requires_grad_(False)
    (branch,) = branches_of(calls_of(model, torch.randn(6, 8)), model)
    assert branch.weights == ("branch.weight",)


class Summed(nn.Module):
    """A layer on a graph, (1 + eps) h + A h: neither side of the sum holds a matrix to train."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.out = nn.Linear(8, 4), nn.Linear(4, 2)
        self.eps = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, graph: Tensor) -> Tensor:
        h = self.into(x)
        answer: Tensor = self.out(graph @ h + (1 + self.eps) * h)
        return answer


def test_a_factor_is_no_layer() -> None:
    model = Summed()
    assert branches_of(calls_of(model, (torch.randn(6, 8), torch.eye(6))), model) == []
