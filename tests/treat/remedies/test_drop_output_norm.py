"""A normalisation behind the last layer."""

from __future__ import annotations

import torch
from torch import nn

from unvanish import treat
from unvanish.core.prescriptions import Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.observe import trace
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import case_of


def batch():
    torch.manual_seed(1)
    states = torch.randn(64, 6)
    return states, states[:, :1] * states[:, 1:2]


def judged(model):
    given = batch()
    case = case_of(model, given, "mse_loss", recording=trace(model, given, "mse_loss"))
    return remedy_of("drop-output-norm").assess(case)


def network(*end):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, 1), *end)


def test_the_answer_is_the_layers_own_and_learns():
    model = network(nn.LayerNorm(1))
    assert isinstance(judged(model), Prescription)
    treated = treat(model, "drop-output-norm", batch(), "mse_loss").model
    inputs, target = batch()
    torch.testing.assert_close(treated(inputs), model[:4](inputs))
    optimizer = torch.optim.Adam(treated.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(treated(inputs), target)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


class Squashed(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(6, 3)
        self.norm = nn.LayerNorm(3, elementwise_affine=False)

    def forward(self, x):
        return torch.sigmoid(self.norm(self.head(x)))


def test_a_function_behind_it_does_not_hide_it():
    torch.manual_seed(0)
    model, inputs = Squashed(), torch.randn(8, 6)
    treated = treat(model, "drop-output-norm", (inputs, torch.rand(8, 3)), "mse_loss").model
    torch.testing.assert_close(treated(inputs), torch.sigmoid(model.head(inputs)))


def test_a_normalisation_between_layers_stays():
    found = judged(network())
    assert isinstance(found, NotApplicable)
    assert "no normalisation stands behind its last layer" in found.reason
