"""A normalisation behind the last layer, or over single numbers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import unvanish
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
    return remedy_of("drop-norm").assess(case)


def network(*end):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, 1), *end)


def test_the_answer_is_the_layers_own_and_learns():
    model = network(nn.LayerNorm(1))
    assert isinstance(judged(model), Prescription)
    treated = treat(model, "drop-norm", batch(), "mse_loss").model
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
    treated = treat(model, "drop-norm", (inputs, torch.rand(8, 3)), "mse_loss").model
    torch.testing.assert_close(treated(inputs), torch.sigmoid(model.head(inputs)))


def test_a_normalisation_between_layers_stays():
    found = judged(network())
    assert isinstance(found, NotApplicable)
    assert "no normalisation stands behind its last layer" in found.reason


class OneChannel(nn.Module):
    """Reads a series of one number at a time, each normalised by itself."""

    def __init__(self, *, called: bool):
        super().__init__()
        self.norm = nn.LayerNorm(1)
        self.embed = nn.Linear(1, 8)
        self.head = nn.Linear(8 * 6, 1)
        self.called = called

    def forward(self, x):
        x = x.unsqueeze(-1)
        if self.called:
            x = nn.functional.layer_norm(x, (1,), self.norm.weight, self.norm.bias)
        else:
            x = self.norm(x)
        return self.head(torch.relu(self.embed(x)).flatten(1))


@pytest.mark.parametrize("called", [False, True])
def test_a_normalisation_of_single_numbers_goes_wherever_it_stands(called):
    torch.manual_seed(0)
    model = OneChannel(called=called)
    found = judged(model)
    assert isinstance(found, Prescription)
    assert "normalises single numbers" in found.why
    treated = treat(model, "drop-norm", batch(), "mse_loss").model
    inputs, _ = batch()
    expected = model.head(torch.relu(model.embed(inputs.unsqueeze(-1))).flatten(1))
    torch.testing.assert_close(treated(inputs), expected)


def test_the_edit_of_the_source_is_written(tmp_path):
    file = tmp_path / "series.py"
    file.write_text(SERIES)
    patch = unvanish.fix(str(file), remedy="drop-norm").patch
    assert patch is not None
    assert "+        self.norm = nn.Identity()" in list(patch.files[0].diff())
    assert patch.agrees


SERIES = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(1)
        self.embed = nn.Linear(1, 8)
        self.head = nn.Linear(8 * 6, 1)

    def forward(self, x):
        return self.head(torch.relu(self.embed(self.norm(x.unsqueeze(-1)))).flatten(1))


def batch():
    x = torch.randn(64, 6)
    return x, x[:, :1]


loss = nn.MSELoss()
"""
