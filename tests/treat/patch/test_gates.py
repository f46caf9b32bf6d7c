"""Gates and routers: the start of a bias or a weight, written behind what builds the network."""

from __future__ import annotations

import pytest

HEAD = """import torch
from torch import nn


def batch():
    inputs = torch.randn(32, {shape})
    return inputs, (inputs{first}[:, 0] > 0).long()


def loss(output, target):
    return nn.functional.cross_entropy(output, target)

"""
FLAT = HEAD.format(shape="8", first="")
LONG = HEAD.format(shape="20, 8", first="[:, 0]")
HIGHWAY = """
class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.change = nn.Linear(8, 8)
        self.gate = nn.Linear(8, 8)
        nn.init.constant_(self.gate.bias, -10.0)

    def forward(self, x):
        t = torch.sigmoid(self.gate(x))
        return t * torch.tanh(self.change(x)) + (1 - t) * x


class Net(nn.Module):
    def __init__(self, depth=6):
        super().__init__()
        self.layers = nn.ModuleList(Layer() for _ in range(depth))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def model():
    return Net()
"""
GRU = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gates, self.new, self.head = nn.Linear(16, 16), nn.Linear(16, 8), nn.Linear(8, 3)
        nn.init.constant_(self.gates.bias[8:], -6.0)

    def forward(self, x):
        h = x.new_zeros(len(x), 8)
        for step in x.unbind(1):
            r, z = torch.sigmoid(self.gates(torch.cat([step, h], 1))).chunk(2, 1)
            h = z * h + (1 - z) * torch.tanh(self.new(torch.cat([step, r * h], 1)))
        return self.head(h)
"""
LSTM = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(8, 12, batch_first=True)
        self.head = nn.Linear(12, 3)
        with torch.no_grad():
            self.rnn.bias_ih_l0[12:24] = -6.0

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])
"""
MIXTURE = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.router = nn.Linear(8, 5)
        self.experts = nn.ModuleList(nn.Linear(8, 3) for _ in range(5))
        with torch.no_grad():
            {start}

    def forward(self, x):
        gates = torch.softmax(self.router(x), dim=-1)
        return sum(gates[:, e, None] * f(x) for e, f in enumerate(self.experts))
"""


def test_every_gate_of_a_stack(edited) -> None:
    found = edited(FLAT + HIGHWAY, "open-gate")
    assert found.diff == [
        "+        with torch.no_grad():",
        "+            for name, parameter in self.named_parameters():",
        '+                if name.endswith(".gate.bias"):',
        "+                    parameter.fill_(-1.707)",
    ]


def test_gates_that_no_one_would_call_shut(edited) -> None:
    found = edited(
        FLAT + HIGHWAY.replace("-10.0", "3.0").replace("depth=6", "depth=12"), "carry-gate"
    )
    assert found.diff == [
        "+        with torch.no_grad():",
        "+            for name, parameter in self.named_parameters():",
        '+                if name.endswith(".gate.bias"):',
        "+                    parameter.fill_(-2.443)",
    ]


def test_one_gate_of_several_in_one_bias(edited) -> None:
    assert edited(LONG + GRU, "open-gate").diff == [
        "+        with torch.no_grad():",
        "+            self.gates.bias.chunk(2)[1].fill_(2.971)",
    ]


def test_the_memory_of_a_layer_of_torch(edited) -> None:
    diff = edited(LONG + LSTM, "open-gate").diff
    assert "+            for name, bias in self.rnn.named_parameters():" in diff
    assert not [line for line in diff if line.startswith("-")]


@pytest.mark.parametrize(
    ("start", "line"),
    [
        ("self.router.weight.mul_(200.0)", "self.router.weight.mul_("),
        ("self.router.bias[0] = 30.0", "self.router.bias.zero_()"),
    ],
)
def test_a_router(edited, start, line) -> None:
    found = edited(FLAT + MIXTURE.format(start=start), "soften-router")
    assert found.diff[0] == "+        with torch.no_grad():"
    assert len(found.diff) == 2
    assert line in found.diff[1]
