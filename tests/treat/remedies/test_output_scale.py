"""output-scale where no single layer makes the scores: embeddings, tied matrices, two branches."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish import checkup
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import case_of, treat

NAME = "output-scale"


class Dots(nn.Module):
    """Users and things, whose embeddings are multiplied."""

    def __init__(self) -> None:
        super().__init__()
        self.users, self.things, self.ease = (
            nn.Embedding(50, 64),
            nn.Embedding(60, 64),
            nn.Embedding(60, 1),
        )

    def forward(self, pairs: Tensor) -> Tensor:
        users, things = self.users(pairs[:, 0]), self.things(pairs[:, 1])
        return (users * things).sum(-1) + self.ease(pairs[:, 1])[:, 0]


class Words(nn.Module):
    """A language model that gives its scores as (samples, words, places)."""

    def __init__(self, *, tied: bool) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(32, 64), nn.Embedding(16, 64)
        self.body, self.norm = nn.Linear(64, 64), nn.LayerNorm(64)
        self.head = nn.Linear(64, 32, bias=False)
        nn.init.normal_(self.head.weight)
        if tied:
            self.head.weight = self.words.weight

    def forward(self, words: Tensor) -> Tensor:
        h = self.words(words) + self.places(torch.arange(words.shape[1]))
        return self.head(self.norm(h + torch.tanh(self.body(h)))).transpose(1, 2)


class Towers(nn.Module):
    """Two branches, of which every sample of one is compared with every one of the other."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(32, 128), nn.Linear(32, 128)

    def forward(self, x: Tensor) -> Tensor:
        return self.left(20.0 * x) @ self.right(20.0 * torch.tanh(x)).T


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def pairs() -> tuple[Tensor, Tensor]:
    drawn = torch.stack([torch.randint(50, (512,)), torch.randint(60, (512,))], 1)
    return drawn, ((drawn[:, 0] % 2) == (drawn[:, 1] % 2)).float()


def sentences() -> tuple[Tensor, Tensor]:
    start, steps = torch.randint(32, (8, 1)), torch.arange(17)
    rows = (start + 5 * steps) % 32
    return rows[:, :-1], rows[:, 1:]


def size_of(model: nn.Module, x: Tensor) -> float:
    with torch.no_grad():
        return float(model(x).square().mean().sqrt())


def learnt(model: nn.Module, draw: Callable[[], tuple[Tensor, Tensor]], loss: nn.Module) -> float:
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    value = torch.tensor(0.0)
    for _ in range(150):
        x, y = draw()
        value = loss(model(x), y)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return float(value.detach())


def test_embeddings_that_are_multiplied() -> None:
    net, batch, loss = Dots(), pairs(), nn.BCEWithLogitsLoss()
    treated = treat(net, NAME, batch, loss)
    sizes = {
        name: float(p.detach().square().mean().sqrt())
        for name, p in treated.model.named_parameters()
    }
    assert set(treated.prescriptions[0].places) == set(sizes)
    assert max(sizes.values()) == pytest.approx(0.02, rel=0.05)
    assert size_of(net, batch[0]) > 5.0 > 0.1 > size_of(treated.model, batch[0])
    assert learnt(treated.model, pairs, loss) < 0.5 < 1.0 < learnt(net, pairs, loss)


def test_an_output_matrix_that_is_the_table_of_words() -> None:
    net, batch, loss = Words(tied=True), sentences(), nn.CrossEntropyLoss()
    treated = treat(net, NAME, batch, loss)
    assert set(treated.prescriptions[0].places) == {"words.weight", "places.weight"}
    assert treated.model.head.weight is treated.model.words.weight
    assert size_of(treated.model, batch[0]) < 1.0 < 5.0 < size_of(net, batch[0])
    report = checkup(treated.model, batch, loss=loss)
    assert "UV507" not in {finding.code for finding in report.findings}
    assert learnt(treated.model, sentences, loss) < learnt(net, sentences, loss)


def test_an_output_layer_with_places_behind_the_classes() -> None:
    net, batch = Words(tied=False), sentences()
    treated = treat(net, NAME, batch, nn.CrossEntropyLoss())
    assert treated.prescriptions[0].places == ("head.weight",)
    assert size_of(treated.model, batch[0]) == pytest.approx(0.5, rel=0.05)


def test_two_branches_that_are_multiplied() -> None:
    net, x = Towers(), torch.randn(64, 32)
    batch = (x, torch.arange(64))
    treated = treat(net, NAME, batch, F.cross_entropy)
    assert set(treated.prescriptions[0].places) == {"left.weight", "right.weight"}
    assert size_of(net, x) > 5.0
    assert size_of(treated.model, x) == pytest.approx(0.5, rel=0.1)


def refusal(model: nn.Module) -> str:
    found = remedy_of(NAME).assess(case_of(model, pairs(), nn.BCEWithLogitsLoss()))
    assert isinstance(found, NotApplicable)
    return found.reason


def test_small_scores_and_frozen_tables_are_left_alone() -> None:
    net = Dots()
    assert refusal(treat(net, NAME, pairs(), nn.BCEWithLogitsLoss()).model) == (
        "it has no trained output layer"
    )
    net.requires_grad_(False)
    net.ease.requires_grad_(True)
    assert refusal(net) == "the scores do not become small with ease.weight"
