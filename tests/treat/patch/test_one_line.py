"""Modules that are made by several calls of one line are told apart by their order."""

from __future__ import annotations

import pytest

TEXT = """import torch
from torch import nn


def batch():
    inputs = 5 * torch.randn(32, 6) + 50
    return inputs, inputs[:, :3].argmax(dim=1)


def loss(output, target):
    return nn.functional.cross_entropy(output, target)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential({made})  # body

    def forward(self, x):
        return self.body(x)
"""
MADE = "nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3)"


@pytest.mark.parametrize(
    ("remedies", "becomes"),
    [
        (
            ("relu",),
            "nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)",
        ),
        (
            ("batch-norm",),
            "nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), "
            "nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3)",
        ),
        (
            ("residual",),
            "nn.Linear(6, 8), nn.Tanh(), Residual(nn.Linear(8, 8), nn.Tanh()), nn.Linear(8, 3)",
        ),
        (
            ("standardise-input", "relu", "residual"),
            "Standardise(MEAN, DEVIATION), nn.Linear(6, 8), nn.ReLU(), "
            "Residual(nn.Linear(8, 8), nn.ReLU()), nn.Linear(8, 3)",
        ),
    ],
    ids=["activation", "normalisation", "connection", "together"],
)
def test_each_call_of_a_line_is_its_own(edited, remedies, becomes) -> None:
    found = edited(TEXT.format(made=MADE), *remedies)
    assert f"+        self.body = nn.Sequential({becomes})  # body" in found.diff


def test_calls_that_do_not_count_up_are_not_told_apart(edited) -> None:
    made = "*[part for _ in range(2) for part in (nn.Linear(6, 6), nn.Tanh())], nn.Linear(6, 3)"
    assert "also makes" in edited(TEXT.format(made=made), "batch-norm").unsafe
