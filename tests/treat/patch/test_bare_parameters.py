"""Starts of what torch.nn.init does not know: bare parameters, transposed layers, files of one."""

from __future__ import annotations

import pytest

LISTED = """import torch
from torch import nn
from torch.nn import functional as F


def batch():
    inputs = torch.randn(32, 12)
    return inputs, inputs[:, :3].argmax(dim=1)


def loss(output, target):
    return F.cross_entropy(output, target)


class Net(nn.Module):
    def __init__(self, depth=12):
        super().__init__()
        self.w = nn.ParameterList(nn.Parameter(torch.randn(12, 12) * 0.05) for _ in range(depth))
        self.b = nn.ParameterList(nn.Parameter(torch.zeros(12)) for _ in range(depth))
        self.head = nn.Parameter(torch.randn(12, 3) / 12**0.5)

    def forward(self, x):
        for w, b in zip(self.w, self.b):
            x = F.linear(x, w, b).relu()
        return x @ self.head
"""
OWN_LAYERS = """
class Layer(nn.Module):
    def __init__(self, reads, makes):
        super().__init__()
        self.matrix = nn.Parameter(0.02 * torch.randn(reads, makes))

    def forward(self, x):
        return torch.relu(x @ self.matrix)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = Layer(12, 20)
        self.rest = nn.Sequential(*(Layer(20, 20) for _ in range(8)))
        self.head = nn.Linear(20, 3)

    def forward(self, x):
        return self.head(self.rest(self.first(x)))
"""


@pytest.mark.parametrize(
    ("remedy", "hidden", "head"),
    [
        (
            "he",
            'kaiming_normal_(part, nonlinearity="relu")',
            'kaiming_normal_(self.head, mode="fan_out", nonlinearity="linear")',
        ),
        ("orthogonal", "orthogonal_(part, gain=1.414)", "orthogonal_(self.head)"),
        (
            "critical",
            "normal_(part, std=1.41421 / part[0].numel() ** 0.5)",
            "normal_(self.head, std=1 / self.head.shape[0] ** 0.5)",
        ),
    ],
)
def test_a_list_of_parameters(edited, remedy, hidden, head) -> None:
    assert edited(LISTED, remedy).diff == [
        "+        for part in self.w:",
        f"+            nn.init.{hidden}",
        "+        for part in self.b:",
        "+            nn.init.zeros_(part)",
        f"+        nn.init.{head}",
    ]


def test_layers_of_ones_own_beside_one_of_torch(edited) -> None:
    text = LISTED[: LISTED.index("class Net")] + OWN_LAYERS
    assert edited(text, "he").diff == [
        "+        for module in self.modules():",
        "+            if isinstance(module, nn.Linear):",
        '+                nn.init.kaiming_normal_(module.weight, nonlinearity="linear")',
        "+                nn.init.zeros_(module.bias)",
        "+        for name, parameter in self.named_parameters():",
        '+            if name.endswith(".matrix"):',
        '+                nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")',
    ]


def test_a_weight_of_many_matrices_is_left(edited) -> None:
    text = LISTED.replace("torch.randn(12, 3) / 12**0.5", "torch.randn(2, 12, 3)").replace(
        "return x @ self.head", 'return torch.einsum("bi,kio->bko", x, self.head).mean(1)'
    )
    assert "belongs to no plain layer" in edited(text, "he").unsafe


def test_a_dictionary_of_parameters(edited) -> None:
    text = LISTED.replace(
        "nn.ParameterList(nn.Parameter(torch.randn(12, 12) * 0.05) for _ in range(depth))",
        'nn.ParameterDict({f"w{i}": nn.Parameter(torch.randn(12, 12) / 20) for i in range(depth)})',
    )
    text = text.replace(
        "for w, b in zip(self.w, self.b)", "for w, b in zip(self.w.values(), self.b)"
    )
    assert edited(text, "orthogonal").diff[:2] == [
        "+        for part in self.w.values():",
        "+            nn.init.orthogonal_(part, gain=1.414)",
    ]


def test_a_network_at_the_head_of_a_file(edited) -> None:
    text = (
        LISTED[: LISTED.index("class Net")]
        + """
layers = [layer for _ in range(12) for layer in (nn.Linear(12, 12), nn.ReLU())]
net = nn.Sequential(*layers, nn.Linear(12, 3)).train()
for layer in net:
    if isinstance(layer, nn.Linear):
        nn.init.normal_(layer.weight, std=0.02)
trained_by = torch.optim.SGD(net.parameters(), lr=0.1)


def model():
    return net
"""
    )
    found = edited(text, "he")
    assert found.diff == [
        "+for module in net.modules():",
        "+    if isinstance(module, nn.Linear):",
        '+        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")',
        "+        nn.init.zeros_(module.bias)",
        '+nn.init.kaiming_normal_(net[-1].weight, nonlinearity="linear")',
    ]
    assert found.after.index("net.modules()") < found.after.index("trained_by")


@pytest.mark.parametrize("remedy", ["he", "critical"])
def test_a_transposed_layer_counts_its_own_inputs(edited, remedy) -> None:
    up = "2.82843"  # the root of 2 for the ReLU behind it, times 2 for its stride
    text = """import torch
from torch import nn


def batch():
    images = torch.randn(8, 1, 8, 8)
    return images, images


def loss(output, target):
    return nn.functional.mse_loss(output, target)


def model():
    return nn.Sequential(
        nn.Conv2d(1, 8, 2, stride=2),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 8, 2, stride=2),
        nn.ReLU(),
        nn.Conv2d(8, 1, 1),
    )
"""
    diff = edited(text, remedy).diff
    drawn = f"+        nn.init.normal_(part.weight, std={up} / part.weight[:, 0].numel() ** 0.5)"
    assert diff[diff.index("+    for part in network[2:-2]:") + 1] == drawn
