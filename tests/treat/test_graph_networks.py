"""Layers of a graph network: a weight, a matrix of the data, a bias, and only then the function."""

from __future__ import annotations

import torch
from torch import nn

from unvanish import treat
from unvanish.core.prescriptions import Prescription
from unvanish.observe import trace
from unvanish.treat.anatomy import anatomy_of
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import case_of

NODES, WIDTH, DEPTH = 10, 8, 4


class Layer(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_in, n_out) / n_in**0.5)
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, h, adjacency):
        return adjacency @ (h @ self.weight) + self.bias


class Graph(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = Layer(3, WIDTH)
        self.layers = nn.ModuleList(Layer(WIDTH, WIDTH) for _ in range(DEPTH))
        self.last = nn.Linear(WIDTH, 2)

    def forward(self, features, adjacency):
        h = torch.relu(self.first(features, adjacency))
        for layer in self.layers:
            h = torch.relu(layer(h, adjacency))
        return self.last(h)


def batch():
    torch.manual_seed(0)
    adjacency = torch.softmax(torch.randn(6, NODES, NODES), -1)
    return (torch.randn(6, NODES, 3), adjacency), torch.randint(2, (6, NODES))


def loss(output, target):
    return nn.functional.cross_entropy(output.flatten(0, 1), target.flatten())


def test_a_matrix_of_the_data_is_no_query():
    torch.manual_seed(0)
    layers = anatomy_of(trace(Graph(), batch(), loss)).layers
    assert [layer.mixes for layer in layers] == [False] * len(layers)
    assert [layer.activation for layer in layers[:-1]] == ["relu"] * (DEPTH + 1)


def test_connections_lead_round_graph_layers():
    torch.manual_seed(0)
    model = Graph()
    given = batch()
    case = case_of(model, given, loss, recording=trace(model, given, loss))
    found = remedy_of("residual").assess(case)
    assert isinstance(found, Prescription)
    assert "4 blocks" in found.why
    (features, adjacency), _ = given
    treated = treat(model, "residual", given, loss).model
    h = torch.relu(model.first(features, adjacency))
    for layer in model.layers:
        h = h + torch.relu(layer(h, adjacency))
    torch.testing.assert_close(treated(features, adjacency), model.last(h))
