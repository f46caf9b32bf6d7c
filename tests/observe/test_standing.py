"""Data that stands in a network: recorded as data where most layers work on it, and only there."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.observe.patients import PATIENTS
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from unvanish.core.codec import decode_recording, encode_recording
from unvanish.core.conditions import DataRole
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording, Role
from unvanish.diagnose import diagnose
from unvanish.observe import trace, tracing
from unvanish.observe.statistics.samples import compare, sample_matrix

NODES, FEATURES, CLASSES = 60, 12, 3


def graph() -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(5)
    labels = torch.randint(0, CLASSES, (NODES,), generator=random)
    edges = (torch.rand(NODES, NODES, generator=random) < 0.1).float().triu(1)
    edges = edges + edges.T + torch.eye(NODES)
    scale = edges.sum(1).rsqrt()
    return scale[:, None] * edges * scale, torch.randn(NODES, FEATURES, generator=random), labels


ADJACENCY, TABLE, LABELS = graph()
GRAPH = SimpleNamespace(edges={"adjacency": ADJACENCY}, table=TABLE)


class Layer(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(before, after))
        self.bias = nn.Parameter(torch.zeros(after))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, adjacency: Tensor, h: Tensor) -> Tensor:
        return adjacency @ h @ self.weight + self.bias


class Layers(nn.Module):
    def __init__(self, depth: int = 8) -> None:
        super().__init__()
        sizes = [FEATURES, *[16] * (depth - 1)]
        self.layers = nn.ModuleList(map(Layer, sizes[:-1], sizes[1:]))
        self.last = Layer(sizes[-1], CLASSES)

    def through(self, adjacency: Tensor, h: Tensor) -> Tensor:
        for layer in self.layers:
            h = torch.sigmoid(layer(adjacency, h))
        return self.last(adjacency, h)


class InBuffers(Layers):
    def __init__(self, depth: int = 8) -> None:
        super().__init__(depth)
        self.register_buffer("adjacency", ADJACENCY.clone())
        self.register_buffer("table", TABLE.clone())

    def forward(self, nodes: Tensor) -> Tensor:
        return self.through(self.adjacency, self.table)[nodes]


class InAttributes(Layers):
    def __init__(self) -> None:
        super().__init__()
        self.graph = (ADJACENCY.clone(), TABLE.clone())

    def forward(self, nodes: Tensor) -> Tensor:
        return self.through(*self.graph)[nodes]


class OfTheFile(Layers):
    def forward(self, nodes: Tensor) -> Tensor:
        return self.through(ADJACENCY, TABLE).index_select(0, nodes)


class OfAnObject(Layers):
    def forward(self, nodes: Tensor) -> Tensor:
        return F.embedding(nodes, self.through(GRAPH.edges["adjacency"], GRAPH.table))


class Sparse(Layers):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("adjacency", ADJACENCY.to_sparse())
        self.register_buffer("table", TABLE.clone())

    def forward(self, nodes: Tensor) -> Tensor:
        h = self.table
        for layer in self.layers:
            h = torch.sigmoid(torch.sparse.mm(self.adjacency, h @ layer.weight) + layer.bias)
        return torch.sparse.mm(self.adjacency, h @ self.last.weight)[nodes]


def closed() -> nn.Module:
    adjacency, table = ADJACENCY.clone(), TABLE.clone()

    class Net(Layers):
        def forward(self, nodes: Tensor) -> Tensor:
            return self.through(adjacency, table)[nodes]

    return Net()


class LinearLayers(nn.Module):
    """Its layers are seen as such in any case; which numbers are samples is not."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", TABLE.clone())
        self.a, self.b, self.c = nn.Linear(FEATURES, 16), nn.Linear(16, 16), nn.Linear(16, CLASSES)

    def forward(self, nodes: Tensor) -> Tensor:
        h = F.relu(self.a(ADJACENCY @ self.table))
        return self.c(ADJACENCY @ F.relu(self.b(ADJACENCY @ h)))[nodes]


STANDING: dict[str, tuple[Callable[[], nn.Module], tuple[str, ...]]] = {
    "buffers": (InBuffers, ("self.adjacency", "self.table")),
    "attributes": (InAttributes, ("self.graph[0]", "self.graph[1]")),
    "file": (OfTheFile, ("ADJACENCY", "TABLE")),
    "object": (OfAnObject, ("ADJACENCY", "TABLE")),
    "sparse": (Sparse, ("self.adjacency", "self.table")),
    "closure": (closed, ("adjacency", "table")),
    "linear": (LinearLayers, ("ADJACENCY", "self.table")),
}


def nodes() -> tuple[Tensor, Tensor]:
    chosen = torch.randperm(NODES, generator=torch.Generator().manual_seed(1))[:20]
    return chosen, LABELS[chosen]


def recorded(net: nn.Module, batch: Any = None, **options: Any) -> Recording:
    return trace(net, nodes() if batch is None else batch, **{"probe_steps": 0, **options})


@pytest.mark.parametrize("name", STANDING)
def test_what_most_layers_work_on_is_data(name: str) -> None:
    make, names = STANDING[name]
    recording = recorded(make())
    assert recording.context.standing == names
    assert any("taken for their data" in said for said in recording.context.inferred)
    weights = {w for site in recording.signal_sites() for w in site.weights}
    assert {p.name for p in recording.parameters if len(p.shape) > 1} <= weights
    inputs = [d.name for d in recording.data if d.role is DataRole.INPUT]
    assert inputs == ["input", *names]


def test_what_ails_such_a_network_is_found() -> None:
    codes = {finding.code for finding in diagnose(recorded(InBuffers(depth=12))).findings}
    assert "UV101" in codes
    assert "UV103" in codes


def test_a_healthy_one_is_left_alone() -> None:
    class Shallow(InBuffers):
        def forward(self, nodes: Tensor) -> Tensor:
            h = torch.relu(self.layers[0](self.adjacency, self.table))
            return self.last(self.adjacency, h)[nodes]

    assert not diagnose(recorded(Shallow(depth=2), probe_steps=3)).findings


def test_it_is_recorded_as_if_it_had_come_with_the_batch() -> None:
    class Given(Layers):
        def forward(self, table: Tensor, adjacency: Tensor) -> Tensor:
            return self.through(adjacency, table)[nodes()[0]]

    standing = InBuffers()
    given = Given()
    given.load_state_dict(standing.state_dict(), strict=False)
    one = recorded(standing)
    other = recorded(given, (TABLE, ADJACENCY, nodes()[1]))
    assert [(s.op, s.depth, s.role, s.weights) for s in one.sites] == [
        (s.op, s.depth, s.role, s.weights) for s in other.sites
    ]
    assert {q: p.values for q, p in one.profiles.items()} == {
        q: p.values for q, p in other.profiles.items()
    }


def test_the_samples_are_those_of_the_data() -> None:
    recording = recorded(InBuffers())
    assert recording.context.batch_size == 20
    for quantity in (Quantity.SAMPLE_COSINE, Quantity.INPUT_SPREAD, Quantity.GRAD_EFFECTIVE_RANK):
        assert len(recording[quantity]) >= 8
    # By the 20 indices of the batch, 60 nodes would be 20 samples of 3 nodes each.
    torch.manual_seed(0)
    net = InBuffers()
    first = recorded(net).sites[0]
    samples = sample_matrix(ADJACENCY @ TABLE @ net.layers[0].weight, NODES)
    assert samples is not None
    cosine = float(compare(samples).cosine)
    assert recorded(net)[Quantity.SAMPLE_COSINE][first.index] == pytest.approx(cosine, abs=1e-6)


def test_a_look_at_a_copy_knows_it_too() -> None:
    recording = recorded(InBuffers(), probe_steps=2)
    assert recording.later is not None
    assert [s.role for s in recording.later.sites] == [s.role for s in recording.sites]
    assert recording.gaps == ()


def test_it_is_written_to_a_file() -> None:
    recording = recorded(InBuffers())
    again = decode_recording(encode_recording(recording))
    assert again.context.standing == recording.context.standing


class Positions(nn.Module):
    """A table is added to the data, and one layer works on a second one."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("places", torch.randn(1, FEATURES))
        self.register_buffer("coordinates", torch.randn(FEATURES, 4))
        self.lift, self.relative = nn.Linear(FEATURES, 16), nn.Linear(4, 1)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.lift(x + self.places + self.relative(self.coordinates).T)))


class Masked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.randn(16, FEATURES) / 4)
        self.b = nn.Parameter(torch.randn(CLASSES, 16) / 4)
        self.register_buffer("mask_a", (torch.rand(16, FEATURES) < 0.5).float())
        self.register_buffer("mask_b", (torch.rand(CLASSES, 16) < 0.9).float())

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(torch.relu(F.linear(x, self.a * self.mask_a)), self.b * self.mask_b)


class Generated(nn.Module):
    """Weights that a small network makes of constants: nothing of it is fed by data."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("codes", torch.randn(16, 5))
        self.a = nn.Parameter(torch.randn(5, 10) / 4)
        self.b = nn.Parameter(torch.randn(10, FEATURES) / 4)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.tanh(self.codes @ self.a) @ self.b
        return self.head(torch.relu(x @ weight.T))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("first", torch.randn(1, 16))
        self.own = nn.Parameter(torch.randn(16, 16) / 4)
        self.inner = nn.Parameter(torch.randn(16, 16) / 4)
        self.entry = nn.Linear(FEATURES, 16)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first
        for _ in range(3):
            h = torch.tanh(torch.tanh(h @ self.own) @ self.inner + self.entry(x))
        return self.head(h)


class Chosen(nn.Module):
    """The batch chooses rows of a table before the layers: these work on the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", TABLE.clone())
        self.a, self.b = nn.Linear(FEATURES, 16), nn.Linear(16, CLASSES)

    def forward(self, nodes: Tensor) -> Tensor:
        return self.b(torch.relu(self.a(self.table[nodes])))


class Prompted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("anchors", torch.randn(7, FEATURES))
        self.prompt = nn.Parameter(torch.randn(2, FEATURES))
        self.query, self.key = nn.Linear(FEATURES, 8), nn.Linear(FEATURES, 8)
        self.value, self.head = nn.Linear(FEATURES, 8), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        memory = torch.cat([self.anchors, self.prompt])
        scores = self.query(x) @ self.key(memory).T
        return self.head(scores.softmax(-1) @ self.value(memory) + self.query(x))


def pruned() -> nn.Module:
    net = nn.Sequential(nn.Linear(FEATURES, 16), nn.ReLU(), nn.Linear(16, CLASSES))
    for layer in (net[0], net[2]):
        prune.random_unstructured(layer, "weight", 0.3)
    return net


def orthogonal() -> nn.Module:
    layers = [nn.Linear(FEATURES, FEATURES) for _ in range(3)]
    return nn.Sequential(*map(parametrizations.orthogonal, layers), nn.Linear(FEATURES, CLASSES))


FED = {
    "positions": Positions,
    "masked": Masked,
    "generated": Generated,
    "recurrent": Recurrent,
    "prompted": Prompted,
    "pruned": pruned,
    "orthogonal": orthogonal,
}


@pytest.mark.parametrize("name", [*FED, "chosen"])
def test_a_network_that_the_batch_feeds_has_no_other_data(name: str) -> None:
    fed = FED.get(name)
    batch = nodes() if fed is None else (torch.randn(20, FEATURES), nodes()[1])
    recording = recorded(Chosen() if fed is None else fed(), batch)
    assert recording.context.standing == ()
    assert not any("taken for" in said for said in recording.context.inferred)


@pytest.mark.parametrize("name", PATIENTS)
def test_an_ordinary_network_is_looked_at_once(name: str) -> None:
    model, batch, options = PATIENTS[name]()
    recording = trace(model, batch, **{**options, "probe_steps": 0})
    assert recording.context.standing == () or name.startswith("graph_")


def test_an_ordinary_recording_is_the_same_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = torch.randn(20, FEATURES), nodes()[1]
    for make in FED.values():
        torch.manual_seed(3)
        net = make()
        with monkeypatch.context() as patch:
            patch.setattr(tracing, "data_that_stands", lambda *_: frozenset())
            without = recorded(net, batch)
        recording = recorded(net, batch)
        assert repr(recording.sites) == repr(without.sites)
        assert repr(recording.profiles) == repr(without.profiles)
        assert repr(recording.parameters) == repr(without.parameters)
        assert repr(recording.data) == repr(without.data)


def test_a_regulariser_in_the_loss_is_no_use_of_the_batch() -> None:
    net = InBuffers()

    def loss(output: Tensor, target: Tensor) -> Tensor:
        decay = sum(p.square().sum() for p in net.parameters())
        return F.cross_entropy(output, target) + 1e-4 * decay

    assert recorded(net, loss=loss).context.standing == ("self.adjacency", "self.table")


def test_features_that_join_a_batch_behind_the_layers_are_data() -> None:
    class Joined(InBuffers):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(CLASSES + 2, CLASSES)

        def forward(self, nodes: Tensor, more: Tensor) -> Tensor:
            h = super().forward(nodes)
            return self.head(torch.cat([h, more], 1))

    chosen, labels = nodes()
    recording = recorded(Joined(), (chosen, torch.randn(20, 2), labels))
    assert recording.context.standing == ("self.adjacency", "self.table")
    assert all(site.role is not Role.WEIGHT for site in recording.sites if site.op == "matmul")
