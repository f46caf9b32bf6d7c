"""Recurrent layers: the matrix of the state, gates, a gated cell in the place of a plain one."""

from __future__ import annotations

import pytest

HEAD = """import torch
from torch import nn


def batch():
    inputs = torch.randn(16, 12, 3)
    return inputs, inputs[:, 0].argmax(dim=1)


def loss(output, target):
    return nn.functional.cross_entropy(output, target)

"""
LAYER = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = {made}  # memory
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        out, _ = self.rnn(x)
        return self.head(out[:, -1])
"""
CELL = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.RNNCell(3, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        h = x.new_zeros(len(x), 8)
        for step in x.unbind(1):
            h = self.cell(step, h)
        return self.head(h)
"""
BY_HAND = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.into = nn.Linear(3, 8)
        self.on = nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        h = x.new_zeros(len(x), 8)
        for step in x.unbind(1):
            h = torch.{name}(self.into(step) + self.on(h))
        return self.head(h)
"""


@pytest.mark.parametrize(
    ("made", "draws"),
    [
        ("nn.RNN(3, 8, batch_first=True)", "nn.init.orthogonal_(gate)"),
        ('nn.RNN(3, 8, batch_first=True, nonlinearity="relu")', "nn.init.eye_(gate)"),
        ("nn.GRU(3, 8, 2, batch_first=True)", "nn.init.orthogonal_(gate)"),
    ],
)
def test_the_matrix_of_a_layer(edited, made, draws) -> None:
    found = edited(HEAD + LAYER.format(made=made), "orthogonal-recurrence")
    assert f"+                        {draws}" in found.diff
    assert not [line for line in found.diff if line.startswith("-")]


def test_the_matrix_of_a_cell_and_of_a_loop_by_hand(edited) -> None:
    cell = edited(HEAD + CELL, "orthogonal-recurrence")
    assert "+                    for gate in parameter.split(self.cell.hidden_size):" in cell.diff
    assert edited(HEAD + BY_HAND.format(name="tanh"), "orthogonal-recurrence").diff == [
        "+        with torch.no_grad():",
        "+            nn.init.orthogonal_(self.on.weight)",
    ]
    relu = edited(HEAD + BY_HAND.format(name="relu"), "orthogonal-recurrence")
    assert "+            nn.init.eye_(self.on.weight)" in relu.diff
    assert "+            nn.init.zeros_(self.on.bias)" in relu.diff


def test_a_cell_among_many_is_named_by_no_number(edited) -> None:
    text = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList(
            [nn.Linear(3, 3), nn.RNN(3, 8, batch_first=True), nn.Linear(8, 3)]
        )

    def forward(self, x):
        return self.parts[2](self.parts[1](self.parts[0](x))[0][:, -1])
"""
    assert "named by its number" in edited(HEAD + text, "orthogonal-recurrence").unsafe


@pytest.mark.parametrize(
    ("made", "becomes"),
    [
        ("nn.RNN(3, 8, batch_first=True)", "nn.GRU(3, 8, batch_first=True)"),
        (
            'nn.RNN(3, 8, nonlinearity="relu", batch_first=True)',
            "nn.GRU(3, 8, batch_first=True)",
        ),
        (
            "nn.RNN(input_size=3, hidden_size=8, batch_first=True, bias=False)",
            "nn.GRU(input_size=3, hidden_size=8, batch_first=True, bias=False)",
        ),
    ],
)
def test_a_gated_layer(edited, made, becomes) -> None:
    found = edited(HEAD + LAYER.format(made=made), "gated-cell")
    assert f"+        self.rnn = {becomes}  # memory" in found.diff
    assert ("bias[units : 2 * units]" in found.after) is ("bias=False" not in made)


def test_a_gated_cell(edited) -> None:
    found = edited(HEAD + CELL, "gated-cell")
    assert "+        self.cell = nn.GRUCell(3, 8)" in found.diff


def test_a_function_by_position_is_left(edited) -> None:
    text = LAYER.format(made='nn.RNN(3, 8, 1, "relu", True, True)')
    assert "by position" in edited(HEAD + text, "gated-cell").unsafe
