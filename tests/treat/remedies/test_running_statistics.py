"""Running statistics follow the network, in the network and in its source."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from unvanish import treat
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import case_of

X = 50.0 + 10.0 * torch.randn(256, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > X[:, 1]).long()


def network(momentum: float | None, last: float | None = 0.1) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 32),
        nn.BatchNorm1d(32, momentum=momentum),
        nn.ReLU(),
        nn.Linear(32, 32),
        nn.BatchNorm1d(32, momentum=last),
        nn.ReLU(),
        nn.Linear(32, 2),
    )


def right_in_evaluation(model: nn.Module) -> float:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    model.train()
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(X), Y).backward()
        optimizer.step()
    model.eval()
    answers: Tensor = model(X).argmax(dim=1)
    return float((answers == Y).float().mean())


@pytest.mark.parametrize("momentum", [0.0003, 0.0])
def test_evaluation_learns_of_what_training_learnt(momentum: float) -> None:
    assert right_in_evaluation(network(momentum)) < 0.8
    treated = treat(network(momentum), "running-statistics", (X, Y))
    assert right_in_evaluation(treated.model) > 0.95


def test_only_what_misleads_is_set_and_undone() -> None:
    model = network(0.99, last=0.02)
    treated = treat(model, "running-statistics", (X, Y), in_place=True)
    assert [model.get_submodule(p).momentum for p in "14"] == [0.1, 0.02]
    (receipt,) = treated.receipts
    assert [(e.place, e.before, e.after) for e in receipt.edits] == [
        ("1", "momentum=0.99", "momentum=0.1")
    ]
    treated.undo()
    assert model.get_submodule("1").momentum == 0.99


@pytest.mark.parametrize("momentum", [0.1, 0.01, None])
def test_what_follows_its_batches_is_left(momentum: float | None) -> None:
    said = remedy_of("running-statistics").assess(case_of(network(momentum), (X, Y)))
    assert isinstance(said, NotApplicable)
    assert "follow its batches" in said.reason


def test_what_has_no_statistics_is_left() -> None:
    said = remedy_of("running-statistics").assess(case_of(nn.Linear(6, 2), (X, Y)))
    assert isinstance(said, NotApplicable)
