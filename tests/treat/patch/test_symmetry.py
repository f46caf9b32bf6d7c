"""What parts equal units and opens zeros, written behind the code that builds the network."""

from __future__ import annotations

import pytest

HEAD = """import torch
from torch import nn


def batch():
    inputs = torch.randn(32, {shape})
    return inputs, (inputs{first}[:, 0] > 0).long()


def loss(output, target):
    return nn.functional.cross_entropy(output, target)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
"""
PAIRS = """import torch
from torch import nn


def batch():
    pairs = torch.randint(1, 9, (64, 2))
    return pairs, pairs.float().prod(1) / 40


def loss(output, target):
    return nn.functional.mse_loss(output, target)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        {made}

    def forward(self, x):
        return ({left} * {right}).sum(1)
"""
FLAT = HEAD.format(shape="8", first="")
LONG = HEAD.format(shape="5, 8", first="[:, 0]")


@pytest.mark.parametrize(
    ("kind", "gates"), [("GRU", "parameter.chunk(3)"), ("RNN", "(parameter,)")]
)
def test_every_gate_of_a_recurrence(edited, kind, gates) -> None:
    text = f"""        self.rnn = nn.{kind}(8, 6, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(12, 3)
        for p in self.rnn.parameters():
            nn.init.constant_(p, 0.05)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])
"""
    assert edited(LONG + text, "break-symmetry").diff == [
        "+        with torch.no_grad():",
        "+            for name, parameter in self.rnn.named_parameters():",
        f"+                for gate in {gates}:",
        '+                    if name.startswith("weight_ih"):',
        "+                        nn.init.xavier_uniform_(gate)",
        '+                    elif name.startswith("weight_hh"):',
        "+                        nn.init.orthogonal_(gate)",
    ]


def test_one_of_two_tables_and_its_padding(edited) -> None:
    made = """self.a, self.b = nn.Embedding(9, 16, padding_idx=0), nn.Embedding(9, 16)
        nn.init.zeros_(self.a.weight)
        nn.init.zeros_(self.b.weight)"""
    text = PAIRS.format(made=made, left="self.a(x[:, 0])", right="self.b(x[:, 1])")
    assert edited(text, "break-symmetry").diff == [
        "+        with torch.no_grad():",
        "+            nn.init.normal_(self.a.weight, std=0.25)",
        "+            self.a.weight[0] = 0.0",
    ]


def test_one_of_two_bare_parameters(edited) -> None:
    made = "self.a, self.b = (nn.Parameter(torch.zeros(9, 4)) for _ in range(2))"
    text = PAIRS.format(made=made, left="self.a[x[:, 0]]", right="self.b[x[:, 1]]")
    assert edited(text, "break-symmetry").diff == [
        "+        with torch.no_grad():",
        "+            nn.init.normal_(self.a, std=0.5)",
    ]


def test_a_factor_before_a_factor_becomes_one(edited) -> None:
    text = """        self.f, self.head = nn.Linear(8, 8), nn.Linear(8, 3)
        self.inner, self.outer = (nn.Parameter(torch.zeros(8)) for _ in range(2))

    def forward(self, x):
        return self.head(x + self.outer * (self.inner * torch.tanh(self.f(x))))
"""
    assert edited(FLAT + text, "break-symmetry").diff == [
        "+        with torch.no_grad():",
        "+            nn.init.ones_(self.inner)",
    ]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            """        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(4))
        self.head = nn.Linear(8, 3)
        for layer in self.layers:
            nn.init.constant_(layer.weight, 0.1)

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)
""",
            ["for part in self.layers:", "    nn.init.normal_(part.weight, std=0.563)"],
        ),
        (
            """        layers = [layer for _ in range(4) for layer in (nn.Linear(8, 8), nn.Tanh())]
        self.layers = nn.Sequential(*layers, nn.Linear(8, 3))
        for layer in self.layers[:-1:2]:
            nn.init.constant_(layer.weight, 0.1)

    def forward(self, x):
        return self.layers(x)
""",
            [
                "for part in self.layers[:-2]:",
                "    if isinstance(part, nn.Linear):",
                "        nn.init.normal_(part.weight, std=0.563)",
            ],
        ),
    ],
)
def test_equal_layers_of_a_list(edited, text, lines) -> None:
    assert edited(FLAT + text, "break-symmetry").diff == [
        "+        with torch.no_grad():",
        *(f"+            {line}" for line in lines),
    ]


def test_a_weight_that_is_computed_is_left(edited) -> None:
    text = """        self.f = nn.utils.parametrizations.weight_norm(nn.Linear(8, 8))
        self.head = nn.Linear(8, 3)
        with torch.no_grad():
            self.f.weight = torch.full((8, 8), 0.1)
            self.f.bias.zero_()

    def forward(self, x):
        return self.head(torch.tanh(self.f(x)))
"""
    assert "makes a weight with other numbers" in edited(FLAT + text, "break-symmetry").unsafe


def test_cells_of_a_list(edited) -> None:
    text = """        self.cells = nn.ModuleList([nn.GRUCell(8, 8) for _ in range(3)])
        self.head = nn.Linear(8, 3)
        for p in self.cells.parameters():
            nn.init.constant_(p, 0.05)

    def forward(self, x):
        states = [x.new_zeros(len(x), 8) for _ in self.cells]
        for step in x.unbind(1):
            for i, cell in enumerate(self.cells):
                states[i] = step = cell(step, states[i])
        return self.head(step)
"""
    diff = edited(LONG + text, "break-symmetry").diff
    assert '+                if name.endswith(".weight_hh"):' in diff
    assert "+                    for gate in parameter.chunk(3):" in diff
