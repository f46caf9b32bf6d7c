"""The probability to keep a unit, given as that to drop it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from unvanish import treat
from unvanish.core.verdicts import NotApplicable
from unvanish.observe import trace
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import case_of


def network(p):
    torch.manual_seed(0)
    layers = []
    for width in (8, 64, 64, 64):
        layers += [nn.Linear(width, 64), nn.ReLU(), nn.Dropout(p)]
    return nn.Sequential(*layers, nn.Linear(64, 2))


def batch():
    torch.manual_seed(1)
    inputs = torch.randn(256, 8)
    return inputs, (inputs[:, 0] * inputs[:, 1] > 0).long()


def trained(model):
    inputs, target = batch()
    torch.manual_seed(2)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(80):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), target).backward()
        optimizer.step()
    model.eval()
    return float(nn.functional.cross_entropy(model(inputs), target).detach())


def test_what_was_kept_is_dropped_and_it_learns():
    model = network(0.9)
    treated = treat(model, "less-dropout", batch(), "cross_entropy").model
    assert [m.p for m in treated.modules() if isinstance(m, nn.Dropout)] == [0.1] * 4
    assert trained(treated) < 0.3
    assert trained(network(0.9)) > 0.6


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5])
def test_an_ordinary_dropout_stays(p):
    model, given = network(p), batch()
    case = case_of(model, given, "cross_entropy", recording=trace(model, given, "cross_entropy"))
    found = remedy_of("less-dropout").assess(case)
    assert isinstance(found, NotApplicable)
    assert "more than 0.5" in found.reason
