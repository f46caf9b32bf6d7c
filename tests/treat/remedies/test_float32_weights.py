"""Weights in float32 in the place of 16 bits."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from unvanish import treat
from unvanish.core.verdicts import NotApplicable
from unvanish.observe import trace
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import case_of


def network(dtype=torch.float16):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 1, 3, padding=1)
    ).to(dtype)


def batch(dtype=torch.float16):
    torch.manual_seed(1)
    clean = (torch.rand(8, 1, 12, 12) > 0.5).float()
    return (clean + 0.5 * torch.randn_like(clean)).to(dtype), clean.to(dtype)


def loss(output, clean):
    return nn.functional.mse_loss(output, clean)


def trained(model, optimizer, loss, steps=30):
    inputs, clean = batch()
    values = []
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss(model(inputs), clean)
        value.backward()
        optimizer.step()
        values.append(float(value.detach()))
    return values


def test_adam_in_float16_divides_by_zero_and_in_float32_learns():
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    treated = treat(model, "float32-weights", batch(), loss, optimizer=optimizer)
    assert treated.optimizer is not None
    assert callable(treated.loss)
    values = trained(treated.model, treated.optimizer, treated.loss)
    assert values[-1] < 0.9 * values[0]
    assert {p.dtype for p in treated.model.parameters()} == {torch.float32}
    untreated = trained(model, optimizer, loss)
    assert not torch.tensor(untreated[-1]).isfinite()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_start_is_the_same(dtype):
    model = network(dtype)
    treated = treat(model, "float32-weights", batch(dtype), loss).model
    for old, new in zip(model.parameters(), treated.parameters(), strict=True):
        assert torch.equal(old.float(), new)
    assert treated.state_dict().keys() == model.state_dict().keys()


def test_a_network_in_float32_does_not_need_it():
    model, given = network(torch.float32), batch(torch.float32)
    case = case_of(model, given, loss, recording=trace(model, given, loss))
    found = remedy_of("float32-weights").assess(case)
    assert isinstance(found, NotApplicable)
    assert "float32 already" in found.reason


class Narrowing(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.SiLU(), nn.Linear(8, 1)).half()

    def forward(self, state):
        return self.net(state.half()).float()


def test_code_that_narrows_by_itself_is_met():
    torch.manual_seed(0)
    model, given = Narrowing(), (torch.randn(16, 4), torch.randn(16, 1))
    treated = treat(model, "float32-weights", given, loss).model
    assert treated.net[0](torch.ones(1, 4).half()).dtype is torch.float32
    assert treated(given[0]).dtype is torch.float32
