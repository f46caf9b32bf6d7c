"""Connections lead round attention that has no way round, and round no other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unvanish.core.findings import Cause, Diagnosis, Finding, Severity
from unvanish.core.prescriptions import Prescription
from unvanish.core.verdicts import Found, NotApplicable
from unvanish.treat.connecting import paths_of
from unvanish.treat.registry import remedy_of
from unvanish.treat.remedies.residual import Residual
from unvanish.treat.remedies.rezero import ReZero
from unvanish.treat.remedies.scaled_residual import ScaledResidual
from unvanish.treat.treatment import case_of, treat

WIDTH, TOKENS = 8, 5


class Written(nn.Module):
    """Attention as one writes it down."""

    def __init__(self, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            one(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for one in (self.q, self.k, self.v)
        )
        hidden = torch.ones(x.shape[1], x.shape[1]).triu(1).bool()
        scores = (q @ k.transpose(-2, -1) / k.shape[-1] ** 0.5).masked_fill(hidden, -1e9)
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


class Fused(nn.Module):
    """One layer for queries, keys and values, weights without modules, PyTorch's function."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Parameter(torch.randn(3 * WIDTH, WIDTH) / 3)
        self.leave = nn.Parameter(torch.randn(WIDTH, WIDTH) / 3)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = F.linear(x, self.enter).chunk(3, -1)
        return F.linear(F.scaled_dot_product_attention(q, k, v), self.leave)


class Head(nn.Module):
    """A head that has its own queries, keys and values."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(WIDTH, WIDTH // 2, bias=False) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        scores = self.q(x) @ self.k(x).transpose(-2, -1)
        return F.softmax(scores, dim=-1) @ self.v(x)


class Heads(nn.Module):
    """Heads side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(Head() for _ in range(2))
        self.out, self.drop = nn.Linear(WIDTH, WIDTH), nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.out(torch.cat([head(x) for head in self.heads], dim=-1)))


def _module(*, batch_first: bool = True) -> nn.Module:
    return nn.MultiheadAttention(WIDTH, 2, batch_first=batch_first)


def _attend(attention: nn.Module, x: Tensor) -> Tensor:
    if isinstance(attention, nn.MultiheadAttention):
        mixed, _ = attention(query=x, key=x, value=x)
        return mixed
    return attention(x)


class Stack(nn.Module):
    """Attention and norms in turn."""

    def __init__(self, make: Callable[[], nn.Module], *, skip: bool = False) -> None:
        super().__init__()
        self.skip = skip
        self.enter, self.leave = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)
        self.attention = nn.ModuleList(make() for _ in range(3))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        for attention, norm in zip(self.attention, self.norms, strict=True):
            mixed = _attend(attention, x)
            x = norm(x + mixed if self.skip else mixed)
        return self.leave(x.mean(1))


def _batch(tokens: int = TOKENS) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(4, tokens, WIDTH), torch.tensor([0, 1, 2, 0])


MAKERS: dict[str, Callable[[], nn.Module]] = {
    "module": _module,
    "sequences first": lambda: _module(batch_first=False),
    "written": Written,
    "fused": Fused,
    "heads": Heads,
}


@pytest.mark.parametrize("remedy", ["residual", "scaled-residual", "rezero", "highway"])
@pytest.mark.parametrize("kind", MAKERS)
def test_every_attention_of_a_stack_gets_a_connection(kind: str, remedy: str) -> None:
    torch.manual_seed(0)
    model = Stack(MAKERS[kind])
    assert len(treat(model, remedy, _batch()).receipts[0].edits) == 3
    found = remedy_of(remedy).assess(case_of(model, _batch()))
    assert isinstance(found, Prescription)
    assert found.settings["attentions"] == found.settings["blocks"] == 3
    assert found.why == "nothing leads round 3 attentions"


@pytest.mark.parametrize("tokens", [TOKENS, 3])
@pytest.mark.parametrize("kind", MAKERS)
def test_the_treated_network_adds_what_attention_gives_before_the_norm(
    kind: str, tokens: int
) -> None:
    torch.manual_seed(0)
    model = Stack(MAKERS[kind])
    treated = treat(model, "residual", _batch()).model
    model.skip = True
    inputs, _ = _batch(tokens)
    torch.testing.assert_close(treated(inputs), model(inputs))
    torch.testing.assert_close(treated.eval()(inputs), model.eval()(inputs))


class Masked(nn.Module):
    """A stack that leaves padding out, by a mask that all of its layers share."""

    def __init__(self, kind: str, *, skip: bool = False) -> None:
        super().__init__()
        self.kind, self.skip = kind, skip
        self.enter, self.leave = nn.Embedding(9, WIDTH), nn.Linear(WIDTH, 3)
        self.attention = nn.ModuleList(_module() for _ in range(3))
        self.enters = nn.ModuleList(nn.Linear(WIDTH, 3 * WIDTH) for _ in range(3))

    def forward(self, tokens: Tensor) -> Tensor:
        padding = tokens == 0
        x = self.enter(tokens)
        for attention, enter in zip(self.attention, self.enters, strict=True):
            if self.kind == "module":
                mixed = attention(x, x, x, key_padding_mask=padding)[0]
            else:
                q, k, v = enter(x).chunk(3, -1)
                mixed = F.scaled_dot_product_attention(q, k, v, ~padding[:, None])
            x = x + mixed if self.skip else mixed
        return self.leave(x.mean(1))


@pytest.mark.parametrize("kind", ["module", "written"])
def test_a_mask_of_the_data_leads_round_nothing(kind: str) -> None:
    torch.manual_seed(0)
    tokens, target = torch.randint(0, 9, (4, TOKENS)), torch.tensor([0, 1, 2, 0])
    tokens[:, 0] = 1
    model = Masked(kind)
    treated = treat(model, "residual", (tokens, target)).model
    model.skip = True
    torch.testing.assert_close(treated(tokens), model(tokens))


def test_a_rezero_stack_begins_without_attention() -> None:
    torch.manual_seed(0)
    model, (inputs, target) = Stack(_module), _batch()
    treated = treat(model, "rezero", (inputs, target)).model
    x = model.enter(inputs)
    for norm in model.norms:
        x = norm(x)
    torch.testing.assert_close(treated(inputs), model.leave(x.mean(1)))


def test_what_attention_returns_beside_its_output_stays_as_it_is() -> None:
    class Weighing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.enter, self.leave = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)
            self.attention = _module()

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            x = self.enter(x)
            mixed, weights = self.attention(x, x, x)
            return self.leave(mixed.mean(1)), weights

    torch.manual_seed(0)
    model, (inputs, target) = Weighing(), _batch()
    treated = treat(model, "residual", (inputs, target), lambda out, y: F.cross_entropy(out[0], y))
    out, weights = treated.model(inputs)
    x = model.enter(inputs)
    mixed, expected = model.attention(x, x, x)
    torch.testing.assert_close(weights, expected)
    torch.testing.assert_close(out, model.leave((x + mixed).mean(1)))


def test_an_encoder_whose_author_forgot_both_skips() -> None:
    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.one, self.two = Written(), nn.Linear(8, 16), nn.Linear(16, 8)
            self.norm = nn.LayerNorm(8)

        def forward(self, x: Tensor) -> Tensor:
            return self.two(F.gelu(self.one(self.norm(self.attention(x)))))

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), Layer(), Layer(), nn.Flatten(), nn.Linear(40, 3))
    paths = paths_of(case_of(model, _batch()))
    assert [block.weights[0] for block in paths.blocks] == [
        "1.attention.q.weight",
        "1.one.weight",
        "2.attention.q.weight",
        "2.one.weight",
    ]
    found = Residual().assess(case_of(model, _batch()))
    assert isinstance(found, Prescription)
    assert "2 blocks of 1 layer with a function behind and 2 attentions" in found.why


def test_one_attention_that_runs_again_and_again() -> None:
    class Again(Stack):
        def __init__(self) -> None:
            super().__init__(Written)
            self.attention = nn.ModuleList([self.attention[0]] * 3)

    torch.manual_seed(0)
    model, (inputs, target) = Again(), _batch()
    treated = treat(model, "residual", (inputs, target)).model
    model.skip = True
    torch.testing.assert_close(treated(inputs), model(inputs))


def test_a_cell_that_attends_at_every_step_is_left_alone() -> None:
    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.enter, self.leave = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)
            self.attention = Written()

        def forward(self, x: Tensor) -> Tensor:
            memory = self.enter(x)
            for step in x.unbind(1):
                memory = self.attention(memory * step[:, None])
            return self.leave(memory.mean(1))

    torch.manual_seed(0)
    paths = paths_of(case_of(Steps(), _batch()))
    assert not paths.blocks
    assert "a loop over time" in paths.said


class Cross(nn.Module):
    """A decoder without skips, which looks at another sequence, or at another stage of its own."""

    def __init__(self, *, memory: str, kind: str) -> None:
        super().__init__()
        self.memory, self.kind = memory, kind
        self.enter, self.other = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.q, self.k, self.v = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.own = _module()
        self.leave = nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        stream = self.enter(x)
        memory = {"data": x, "layer": self.other(x), "earlier": stream}[self.memory]
        if self.memory == "earlier":
            stream = self.other(stream)
        if self.kind == "module":
            mixed, _ = self.own(stream, memory, memory)
        else:
            mixed = F.scaled_dot_product_attention(self.q(stream), self.k(memory), self.v(memory))
        return self.leave(mixed.mean(1))


@pytest.mark.parametrize("kind", ["module", "written"])
@pytest.mark.parametrize("memory", ["data", "layer", "earlier"])
def test_attention_to_another_sequence_is_left_alone(memory: str, kind: str) -> None:
    torch.manual_seed(0)
    model = Cross(memory=memory, kind=kind)
    assert not paths_of(case_of(model, _batch())).blocks


class Pooling(nn.Module):
    """Trained queries, as many as there are tokens, or a token that asks the others."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.enter, self.leave = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)
        self.q, self.k, self.v = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.asks = nn.Parameter(torch.randn(TOKENS, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        asks = self.asks if self.kind == "trained" else self.q(x[:, :1])
        mixed = (asks @ self.k(x).transpose(-2, -1)).softmax(-1) @ self.v(x)
        return self.leave(mixed.mean(1))


@pytest.mark.parametrize("kind", ["trained", "token"])
def test_pooling_is_left_alone(kind: str) -> None:
    torch.manual_seed(0)
    assert not paths_of(case_of(Pooling(kind), _batch())).blocks


def _encoder(*, norm_first: bool) -> nn.Module:
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True, norm_first=norm_first)
    encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
    return nn.Sequential(nn.Linear(8, 8), encoder, nn.Flatten(), nn.Linear(40, 3))


HEALTHY: dict[str, Callable[[], nn.Module]] = {
    "pre-norm": lambda: _encoder(norm_first=True),
    "post-norm": lambda: _encoder(norm_first=False),
    "modules with skips": lambda: Stack(_module, skip=True),
    "written with skips": lambda: Stack(Written, skip=True),
    "heads with skips": lambda: Stack(Heads, skip=True),
    "treated": lambda: treat(Stack(Written), "residual", _batch()).model,
    "treated modules": lambda: treat(Stack(_module), "rezero", _batch()).model,
}


@pytest.mark.parametrize("kind", HEALTHY)
def test_attention_with_a_skip_gets_no_second_one(kind: str) -> None:
    torch.manual_seed(0)
    model = HEALTHY[kind]()
    assert not [b for b in paths_of(case_of(model, _batch())).blocks if b.is_attention]
    assert isinstance(Residual().assess(case_of(model, _batch())), NotApplicable)


def _found(model: nn.Module, cause: Cause, *, asked: str = "") -> Any:
    finding = Finding(
        code="UV302",
        name="attention-collapse",
        severity=Severity.ERROR,
        message="",
        sites=(),
        measured=1.0,
        expected=0.0,
        limit=0.5,
        unit="",
        causes=(cause,),
    )
    case = case_of(model, _batch())
    diagnosis = Diagnosis({"UV302": Found((finding,))})
    return dataclasses.replace(case, diagnosis=diagnosis, asked=frozenset({asked} - {""}))


@pytest.mark.parametrize("remedy", [Residual, ScaledResidual, ReZero])
def test_it_is_offered_for_alike_tokens_and_not_for_a_softmax_that_has_chosen(
    remedy: type[Residual],
) -> None:
    torch.manual_seed(0)
    model = Stack(_module)
    assert "UV302" in remedy.treats
    alike = _found(model, Cause.DEPTH_WITHOUT_SKIP)
    assert isinstance(remedy().assess(alike), Prescription)
    chosen = _found(model, Cause.SOFTMAX_SATURATION)
    assert isinstance(remedy().assess(chosen), NotApplicable)
    wanted = _found(model, Cause.SOFTMAX_SATURATION, asked=remedy.name)
    assert isinstance(remedy().assess(wanted), Prescription)
    with_skips = _found(_encoder(norm_first=True), Cause.SOFTMAX_SATURATION)
    assert isinstance(remedy().assess(with_skips), NotApplicable)
