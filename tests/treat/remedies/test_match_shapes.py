"""A column is compared with a row entry by entry, and the network learns."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unvanish
from unvanish import treat
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.matching import MatchedLoss, matched
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import case_of

pytestmark = pytest.mark.filterwarnings("ignore:Using a target size")

X = torch.randn(256, 2, generator=torch.Generator().manual_seed(0))
Y = torch.sin(2 * X[:, 0]) + X[:, 1]


def network(*end: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 1), *end)


def by_hand(output: Tensor, target: Tensor) -> Tensor:
    return ((output - target) ** 2).mean()


def trained(model: nn.Module, loss: Any) -> float:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(300):
        optimizer.zero_grad()
        loss(model(X), Y).backward()
        optimizer.step()
    return float((F.mse_loss(model(X).reshape(-1), Y) / Y.var()).detach())


@pytest.mark.parametrize("loss", [F.mse_loss, nn.MSELoss(), by_hand, "smooth_l1_loss"])
def test_it_learns_what_it_did_not(loss: Any) -> None:
    treated = treat(network(), "match-shapes", (X, Y), loss)
    assert isinstance(treated.loss, MatchedLoss)
    assert trained(treated.model, treated.loss) < 0.05
    if callable(loss):
        assert trained(network(), loss) > 0.9


def test_a_row_for_a_column() -> None:
    treated = treat(network(nn.Flatten(0)), "match-shapes", (X, Y[:, None]), F.mse_loss)
    assert callable(treated.loss)
    output = treated.model(X)
    torch.testing.assert_close(treated.loss(output, Y[:, None]), F.mse_loss(output, Y))


@pytest.mark.parametrize("target", [Y[:, None], (Y, Y), None])
def test_what_fits_or_is_no_tensor_stays(target: Any) -> None:
    assert matched(network()(X), target) is target


def test_where_nothing_is_broadcast_it_does_not_fit() -> None:
    said = remedy_of("match-shapes").assess(case_of(network(), (X, Y[:, None]), F.mse_loss))
    assert isinstance(said, NotApplicable)
    assert said.reason == "every output is compared with its own target"


SOURCE = """import torch
import torch.nn.functional as F
from torch import nn


def model():
    return nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 1))


def data():
    x = torch.randn(640, 2)
    for i in range(0, 640, 64):
        yield x[i : i + 64], x[i : i + 64, 0] + x[i : i + 64, 1]


def loss(output, target):
    return F.mse_loss(output, target)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
"""


def test_a_cure_is_judged_without_the_broadcast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(SOURCE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cured = unvanish.cure("net.py", budget="60steps", seeds=3, engine="inline")
    assert cured.remedies == ("match-shapes",)
    assert cured.proof is not None
    assert "the loss of each output beside its own target" in cured.proof.endpoint.origin
    assert cured.patch is not None
    (edited,) = cured.patch.files
    assert "+    return F.mse_loss(output, target.reshape(output.shape))" in list(edited.diff())
