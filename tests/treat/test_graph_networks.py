"""Layers of a graph network: a weight, a matrix of the data, a bias, and only then the function."""

from __future__ import annotations

import pytest
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


class Standing(nn.Module):
    """Its graph stands in buffers; the batch says which nodes count."""

    def __init__(self, nodes=40):
        super().__init__()
        self.register_buffer("adjacency", torch.softmax(torch.randn(nodes, nodes), -1))
        self.register_buffer("table", torch.randn(nodes, WIDTH))
        self.weights = nn.ParameterList(torch.randn(WIDTH, WIDTH) / 3 for _ in range(DEPTH))
        self.last = nn.Linear(WIDTH, 2)

    def forward(self, nodes):
        h = self.table
        for weight in self.weights:
            h = torch.sigmoid(self.adjacency @ h @ weight)
        return self.last(h)[nodes]


def standing():
    torch.manual_seed(0)
    return Standing(), (torch.randperm(40)[:16], torch.randint(2, (16,)))


@pytest.mark.parametrize("name", ["relu", "residual", "batch-norm", "xavier"])
def test_remedies_fit_layers_whose_data_stands_in_the_network(name):
    model, given = standing()
    case = case_of(model, given, recording=trace(model, given))
    assert isinstance(remedy_of(name).assess(case), Prescription)
    before = model(given[0])
    treated = treat(model, name, given).model
    assert not torch.equal(treated(given[0]), before)
    assert torch.equal(model(given[0]), before)


def test_a_function_before_a_matrix_of_the_data_is_exchanged():
    model, given = standing()
    treated = treat(model, "relu", given).model
    h = model.table
    for weight in model.weights:
        h = torch.relu(model.adjacency @ h @ weight)
    torch.testing.assert_close(treated(given[0]), model.last(h)[given[0]])
