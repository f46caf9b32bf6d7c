"""Attention whose scores are no matrix products: its softmax is given what it can react to."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import unvanish
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose import diagnose
from unvanish.treat.attention import attentions_of, weighings_of
from unvanish.treat.attention_parts import Factor
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import case_of, treat

WIDTH = 16
KEYS = 12


class Lookup(nn.Module):
    """One query asks twelve keys; how their scores are made is given."""

    def __init__(self, scores: str, size: float = 1.0) -> None:
        super().__init__()
        self.scores = scores
        self.query, self.key = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.value, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 4)
        self.score = nn.Linear(WIDTH, 1)
        for layer in (self.query, self.key, self.score):
            nn.init.normal_(layer.weight, std=size)
        self.choose = nn.Softmax(dim=-1)

    def scored(self, q: Tensor, k: Tensor) -> Tensor:
        if self.scores == "summed":
            return (q.unsqueeze(1) * k).sum(-1)
        if self.scores == "distance":
            return -(q.unsqueeze(1) - k).square().sum(-1)
        if self.scores == "cdist":
            return -torch.cdist(q.unsqueeze(1), k).square().squeeze(1)
        if self.scores == "einsum":
            return torch.einsum("bd,bkd->bk", q, k)
        if self.scores == "additive":
            return self.score(torch.tanh(q.unsqueeze(1) + k)).squeeze(-1)
        return self.score(k).squeeze(-1)

    def forward(self, x: Tensor) -> Tensor:
        raw = self.scored(self.query(x[:, 0]), self.key(x))
        weights = raw.softmax(-1)
        return self.head((weights.unsqueeze(-1) * self.value(x)).sum(1))


class Chosen(Lookup):
    """The same with the softmax called in different ways."""

    def __init__(self, way: str) -> None:
        super().__init__("summed", 2.0)
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        raw, value = self.scored(self.query(x[:, 0]), self.key(x)), self.value(x)
        if self.way == "masked":
            hidden = torch.zeros_like(raw, dtype=torch.bool)
            hidden[:, KEYS // 2 :] = True
            raw = raw.masked_fill(hidden, -math.inf)
        if self.way == "column":
            weights = F.softmax(raw.unsqueeze(-1), dim=1).squeeze(-1)
        elif self.way == "module":
            weights = self.choose(raw)
        elif self.way == "torch":
            weights = torch.softmax(raw, 1)
        elif self.way == "named":
            weights = torch.softmax(input=raw, dim=1)
        else:
            weights = F.softmax(raw, dim=-1)
        return self.head(torch.einsum("bk,bkd->bd", weights, value))


class Decoder(nn.Module):
    """Bahdanau's attention at every step of a loop, and a softmax of another kind before it."""

    def __init__(self, *, other: bool = False) -> None:
        super().__init__()
        self.cell, self.other = nn.GRUCell(WIDTH, WIDTH), other
        self.ask, self.see = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.score, self.head = nn.Linear(WIDTH, 1, bias=False), nn.Linear(WIDTH, 4)
        nn.init.normal_(self.score.weight, std=20.0)

    def forward(self, x: Tensor) -> Tensor:
        seen, state = self.see(x), torch.zeros(len(x), WIDTH)
        if self.other:
            state = torch.softmax(x[:, 0] @ self.ask.weight, -1)
        for _ in range(3):
            raw = self.score(torch.tanh(self.ask(state).unsqueeze(1) + seen))
            weights = torch.softmax(raw, dim=1)
            state = self.cell((weights * seen).sum(1), state)
        return self.head(state)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


DATA = (drawn(24, KEYS, WIDTH), torch.arange(24) % 4)


def made(build: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return build()


def look(model: nn.Module) -> Any:
    return unvanish.trace(model, DATA, batches=1, probe_steps=0)


def spread(model: nn.Module) -> float:
    return max(one.spread for one in weighings_of(look(model)))


@pytest.mark.parametrize("kind", ["summed", "distance", "cdist", "einsum", "additive", "layer"])
def test_scores_made_in_any_way_are_brought_to_where_the_softmax_has_a_slope(kind: str) -> None:
    model = made(lambda: Lookup(kind, 12.0))
    assert spread(model) > 20.0
    treated = treat(model, "attention-scale", DATA).model
    assert 0.4 < spread(treated) < 2.1
    assert all(torch.equal(p, treated.get_parameter(n)) for n, p in model.named_parameters())
    assert "UV302" not in {f.code for f in diagnose(look(treated)).findings}


def test_the_gradient_of_what_makes_the_scores_comes_back() -> None:
    model = made(lambda: Lookup("summed", 12.0))
    treated = treat(model, "attention-scale", DATA).model
    sizes = []
    for one in (model, treated):
        one.zero_grad()
        F.cross_entropy(one(DATA[0]), DATA[1]).backward()
        # The derivative of the scores by a weight is proportional to the factor, so that a
        # softmax with a slope shows although the scores are divided.
        sizes.append(float(one.query.weight.grad.norm()))
    factor = next(m.factor for m in treated.modules() if isinstance(m, Factor))
    assert sizes[1] / factor > 10.0 * sizes[0]


def test_summed_products_are_divided_by_the_root_of_their_width_where_that_is_enough() -> None:
    model = made(lambda: Lookup("summed", 0.3))
    assert 2.0 < spread(model) < 8.0
    found = remedy_of("attention-scale").assess(case_of(model, DATA))
    assert isinstance(found, Prescription)
    assert list(found.settings.values()) == [1.0 / math.sqrt(WIDTH)]
    assert found.change is Change.ACTIVATION
    assert Keeps.WEIGHTS in found.keeps
    assert weighings_of(look(model))[0].width == WIDTH


@pytest.mark.parametrize("way", ["torch", "function", "module", "column", "masked", "named"])
def test_a_softmax_is_met_however_it_is_called(way: str) -> None:
    model = made(lambda: Chosen(way))
    before = spread(model)
    treated = treat(model, "attention-scale", DATA)
    assert 0.4 < spread(treated.model) < 2.1 < before
    assert torch.isfinite(treated.model(DATA[0])).all()
    treated.undo()
    assert torch.equal(treated.model(DATA[0]), model(DATA[0]))


@pytest.mark.parametrize("other", [False, True])
def test_every_step_of_a_loop_is_treated_and_no_other_softmax(other: bool) -> None:
    model = made(lambda: Decoder(other=other))
    (found,) = weighings_of(look(model))
    assert found.softmax_calls == ((1, 2, 3) if other else None)
    treated = treat(model, "attention-scale", DATA)
    assert len(treated.receipts[0].edits) == 1
    (factor,) = {m.factor for m in treated.model.modules() if isinstance(m, Factor)}
    by_hand = made(lambda: Decoder(other=other))
    with torch.no_grad():
        by_hand.score.weight.mul_(factor)
    assert torch.allclose(treated.model(DATA[0]), by_hand(DATA[0]), atol=1e-5)


def test_remedies_for_products_refuse_other_scores() -> None:
    model = made(lambda: Lookup("summed", 12.0))
    assert not attentions_of(look(model))
    for name in ("query-key-norm", "t-fixup"):
        said = remedy_of(name).assess(case_of(model, DATA))
        assert isinstance(said, NotApplicable)
    said = remedy_of("query-key-norm").assess(case_of(model, DATA))
    assert isinstance(said, NotApplicable)
    assert "no attention over products" in said.reason


def test_an_axis_that_is_not_measured_is_told() -> None:
    class Heads(Lookup):
        def forward(self, x: Tensor) -> Tensor:
            weights = torch.softmax(30.0 * self.key(x), dim=1)
            return self.head((weights * self.value(x)).sum(1))

    said = remedy_of("attention-scale").assess(case_of(made(lambda: Heads("layer")), DATA))
    assert isinstance(said, NotApplicable)
    assert "not measured" in said.reason


def test_sound_scores_and_other_softmaxes_are_left_alone() -> None:
    said = remedy_of("attention-scale").assess(case_of(made(lambda: Lookup("summed", 0.1)), DATA))
    assert isinstance(said, NotApplicable)
    assert "at most" in said.reason
    plain = nn.Sequential(nn.Flatten(), nn.Linear(KEYS * WIDTH, 4), nn.Softmax(-1))
    said = remedy_of("attention-scale").assess(case_of(plain, DATA))
    assert isinstance(said, NotApplicable)
    assert "no softmax weighs values" in said.reason


class Reader(nn.Module):
    """A memory that is read by the cosines of a question and its keys."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(24, 24) for _ in range(3))
        self.out = nn.Linear(24, 8)

    def forward(self, question: Tensor, keys: Tensor, values: Tensor, scale: float = 1.0) -> Tensor:
        q = F.normalize(self.query(question)[:, None], dim=-1)
        cosines = q @ F.normalize(self.key(keys), dim=-1).transpose(1, 2)
        return self.out(((scale * cosines).softmax(-1) @ self.value(values))[:, 0])


def test_cosines_are_multiplied_until_one_key_can_be_chosen() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(48, 24), torch.randn(48, 16, 24), torch.randn(48, 16, 24)
    model = Reader()
    treated = treat(model, "attention-scale", (inputs, torch.randint(8, (48,))), F.cross_entropy)
    assert dict(treated.prescriptions[0].settings) == {"": 10.0}
    torch.testing.assert_close(treated.model(*inputs), model(*inputs, scale=10.0))


def test_cosines_of_few_keys_stay() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(48, 24), torch.randn(48, 6, 24), torch.randn(48, 6, 24)
    case = case_of(Reader(), (inputs, torch.randint(8, (48,))), F.cross_entropy)
    assert isinstance(remedy_of("attention-scale").assess(case), NotApplicable)
