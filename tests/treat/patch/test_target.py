"""The step that answers in the units of a target: in a list, and in a forward."""

from __future__ import annotations

import pytest

HEAD = """import torch
from torch import nn


def batch():
    inputs = torch.randn(64, 6)
    return inputs, 2.5e5 + 8e4 * inputs[:, :{n}]


def loss(output, target):
    return nn.functional.mse_loss(output, target)

"""
LISTED = """
def model():
    return nn.Sequential(
        nn.Linear(6, 8),
        nn.Tanh(),
        nn.Linear(8, 1),  # dollars
    )
"""
STARRED = """
def model():
    layers = []
    for _ in range(2):
        layers += [nn.Linear(6, 6), nn.Tanh()]
    layers.append(nn.Linear(6, 1))
    return nn.Sequential(*layers)
"""
FORWARD = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 8)
        self.head = nn.Linear(8, {n})
        self.shift = nn.Parameter(torch.zeros({n}))

    def forward(self, x):
        z = torch.tanh(self.body(x))
        return {answer}  # dollars
"""


def test_a_module_at_the_end_of_a_list(edited) -> None:
    found = edited(HEAD.format(n=1) + LISTED, "standardise-target")
    assert "        nn.Linear(8, 1),\n        Unstandardise(2" in found.after
    assert "class Unstandardise(nn.Module):" in found.after


def test_a_list_that_a_loop_fills(edited) -> None:
    found = edited(HEAD.format(n=1) + STARRED, "standardise-target")
    assert "return nn.Sequential(*layers, Unstandardise(2" in found.after


@pytest.mark.parametrize(
    ("answer", "becomes", "n"),
    [
        ("self.head(z)", "self.unstandardise(self.head(z))", 1),
        ("self.head(z) + self.shift", "self.unstandardise(self.head(z) + self.shift)", 3),
    ],
)
def test_an_answer_in_a_forward(edited, answer, becomes, n) -> None:
    found = edited(HEAD.format(n=n) + FORWARD.format(answer=answer, n=n), "standardise-target")
    assert f"return {becomes}  # dollars" in found.after
    made = "        self.unstandardise = Unstandardise("
    assert made + ("[" if n > 1 else "2") in found.after


def test_two_calls_in_a_line_are_not_told_apart(edited) -> None:
    text = HEAD.format(n=1) + FORWARD.format(n=1, answer="self.head(-self.head(z).expand(-1, 8))")
    assert "cannot be followed" in edited(text, "standardise-target").unsafe
