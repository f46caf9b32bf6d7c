"""Gates that are pinned shut and routers that have chosen, on networks built in many ways."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unvanish.core.prescriptions import Keeps, Prescription
from unvanish.core.verdicts import Found, NotApplicable
from unvanish.diagnose.rules.closed_gate import ClosedGate
from unvanish.observe.tracing import trace
from unvanish.testing import check_remedy
from unvanish.theory.recurrent import carried, carrying_bias
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import case_of, treat

STEPS = 20


class Highway(nn.Module):
    """Highway layers; one layer at every depth where it is shared."""

    def __init__(self, depth: int, *, shared: bool = False, norm: bool = False) -> None:
        super().__init__()
        self.inputs = nn.Linear(6, 12)
        count = 1 if shared else depth
        self.changes = nn.ModuleList(nn.Linear(12, 12) for _ in range(count))
        self.gates = nn.ModuleList(nn.Linear(12, 12, bias=not norm) for _ in range(count))
        self.norms = nn.ModuleList(nn.LayerNorm(12) if norm else nn.Identity() for _ in self.gates)
        for gate, behind in zip(self.gates, self.norms, strict=True):
            nn.init.constant_((behind if norm else gate).bias, -12.0)
        self.depth, self.head = depth, nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inputs(x)
        for level in range(self.depth):
            k = level % len(self.gates)
            t = self.norms[k](self.gates[k](x)).sigmoid()
            x = (
                x + t * (self.changes[k](x).tanh() - x)
                if k % 2
                else (t * self.changes[k](x).tanh() + (1.0 - t) * x)
            )
        return self.head(x)


class Squeezed(nn.Module):
    """Squeeze-and-excitation over channels, its last bias the wrong way round."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.after = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.down, self.up = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)
        nn.init.constant_(self.up.bias, -14.0)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).relu()
        x = x * torch.sigmoid(self.up(self.down(x.mean((2, 3), keepdim=True)).relu()))
        return self.head(self.after(x).mean((2, 3)))


class Linears(nn.Module):
    """A gated linear unit of `torch.nn`, one bias for values and gates."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.glu, self.head = nn.Linear(6, 24), nn.GLU(), nn.Linear(12, 3)
        nn.init.constant_(self.into.bias[12:], -11.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.glu(self.into(x)))


class Written(nn.Module):
    """A GRU written out, with the gates in one bias."""

    def __init__(self, bias: float) -> None:
        super().__init__()
        self.gates, self.new = nn.Linear(18, 24), nn.Linear(18, 12)
        nn.init.constant_(self.gates.bias[12:], bias)
        self.head = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), 12)
        for step in x.unbind(1):
            r, z = torch.sigmoid(self.gates(torch.cat([step, h], 1))).chunk(2, 1)
            h = z * h + (1 - z) * torch.tanh(self.new(torch.cat([step, r * h], 1)))
        return self.head(h)


class Minimal(nn.Module):
    """One gate and no reset; its complement keeps the state, as in the first papers."""

    def __init__(self, bias: float) -> None:
        super().__init__()
        self.gates, self.new = nn.Linear(18, 12), nn.Linear(18, 12)
        nn.init.constant_(self.gates.bias, bias)
        self.head = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), 12)
        for step in x.unbind(1):
            both = torch.cat([step, h], 1)
            z = torch.sigmoid(self.gates(both))
            h = (1 - z) * h + z * torch.tanh(self.new(both))
        return self.head(h)


class Ready(nn.Module):
    """A recurrent layer of `torch.nn` with one gate pinned."""

    def __init__(self, layer: nn.Module, gate: int, bias: float) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(12, 3)
        with torch.no_grad():
            layer.bias_ih_l0[12 * gate : 12 * (gate + 1)] = bias

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[0][:, -1])


def numbers(*shape: int) -> tuple[Tensor, Tensor]:
    return torch.randn(*shape), torch.randint(0, 3, (shape[0],))


def assessed(name: str, model: nn.Module, batch: Any) -> Prescription | NotApplicable:
    return remedy_of(name).assess(case_of(model, batch, F.cross_entropy))


FLAT, LONG, IMAGE = (32, 6), (16, STEPS, 6), (8, 3, 6, 6)
MEMORY = carrying_bias(STEPS)
CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], dict[str, str]]] = {
    "highway": (lambda: Highway(9), FLAT, {f"gates.{k}.bias": "0:12 = -2.14" for k in range(9)}),
    "shared highway": (lambda: Highway(9, shared=True), FLAT, {"gates.0.bias": "0:12 = -2.14"}),
    "behind a norm": (lambda: Highway(1, norm=True), FLAT, {"norms.0.bias": "0:12 = -1"}),
    "squeeze": (Squeezed, IMAGE, {"up.bias": "0:8 = 0"}),
    "linear unit": (Linears, FLAT, {"into.bias": "12:24 = 0"}),
    "forgets": (lambda: Written(-7.0), LONG, {"gates.bias": "12:24 = 2.97"}),
    "forgets, reversed": (lambda: Minimal(7.0), LONG, {"gates.bias": "0:12 = -2.97"}),
    "takes nothing": (lambda: Minimal(-14.0), LONG, {"gates.bias": "0:12 = -2.97"}),
    "forget gate": (
        lambda: Ready(nn.LSTM(6, 12, batch_first=True), 1, -8.0),
        LONG,
        {"layer.bias_ih_l0": "gate 1 = 2.97"},
    ),
    "output gate": (
        lambda: Ready(nn.LSTM(6, 12, batch_first=True), 3, -12.0),
        LONG,
        {"layer.bias_ih_l0": "gate 3 = 0"},
    ),
    "update gate": (
        lambda: Ready(nn.GRU(6, 12, batch_first=True), 1, -8.0),
        LONG,
        {"layer.bias_ih_l0": "gate 1 = 2.97"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_right_entries_get_what_carries_the_signal(name: str) -> None:
    torch.manual_seed(0)
    made, shape, expected = CASES[name]
    model, batch = made(), numbers(*shape)
    found = assessed("open-gate", model, batch)
    assert isinstance(found, Prescription), found.reason
    assert found.settings.keys() == expected.keys()
    for bias, said in expected.items():
        entries, value = said.split(" = ")
        told = str(found.settings[bias]).split(" = ")
        assert told[0] == entries
        assert float(told[1]) == pytest.approx(float(value), abs=0.02)
    after = treat(model, found, batch, F.cross_entropy).model
    _, shut = ClosedGate().gates(trace(after, batch, F.cross_entropy, batches=1, probe_steps=0))
    assert not shut


@pytest.mark.parametrize("name", ["highway", "linear unit", "takes nothing", "output gate"])
def test_the_contract_of_open_gate(name: str) -> None:
    made, shape, _ = CASES[name]
    open_linear = (nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)), numbers(*FLAT))
    check_remedy(
        remedy_of("open-gate"), made, numbers(*shape), F.cross_entropy, unfit=[open_linear]
    )


def test_what_no_bias_opens_is_refused() -> None:
    torch.manual_seed(0)
    frozen = Highway(4)
    for gate in frozen.gates:
        gate.bias.requires_grad_(False)
    said = assessed("open-gate", frozen, numbers(*FLAT))
    assert isinstance(said, NotApplicable)
    assert "no trained bias" in said.reason


def test_the_bias_carries_for_as_long_as_it_says() -> None:
    for steps in (1, 5, 50, 1000):
        assert carried(carrying_bias(steps), steps) == pytest.approx(math.exp(-1))


class Mixture(nn.Module):
    """Experts side by side; the router may be normalised or have two layers."""

    def __init__(self, router: nn.Module, scale: float = 1.0, favour: float = 0.0) -> None:
        super().__init__()
        self.router, self.scale = router, scale
        self.experts = nn.ModuleList(nn.Linear(6, 3) for _ in range(5))
        last = [m for m in router.modules() if isinstance(m, nn.Linear)][-1]
        if favour:
            nn.init.constant_(last.bias[:1], favour)

    def forward(self, x: Tensor) -> Tensor:
        share = F.softmax(self.scale * self.router(x), dim=-1)
        answers = torch.stack([expert(x) for expert in self.experts], 1)
        return (share[..., None] * answers).sum(1)


def loud(layer: nn.Linear) -> nn.Linear:
    nn.init.normal_(layer.weight, std=60.0)
    return layer


ROUTERS: dict[str, tuple[Callable[[], nn.Module], set[str]]] = {
    "large weights": (lambda: Mixture(loud(nn.Linear(6, 5))), {"router.weight"}),
    "no bias": (lambda: Mixture(loud(nn.Linear(6, 5, bias=False))), {"router.weight"}),
    "temperature": (
        lambda: Mixture(nn.Linear(6, 5), scale=200.0),
        {"router.weight", "router.bias"},
    ),
    "two layers": (
        lambda: Mixture(nn.Sequential(nn.Linear(6, 9), nn.ReLU(), loud(nn.Linear(9, 5)))),
        {"router.2.weight"},
    ),
    "favour": (lambda: Mixture(nn.Linear(6, 5), favour=40.0), {"router.bias"}),
    "both": (
        lambda: Mixture(loud(nn.Linear(6, 5)), favour=400.0),
        {"router.bias", "router.weight"},
    ),
}


@pytest.mark.parametrize("name", ROUTERS)
def test_scores_lie_about_one_apart(name: str) -> None:
    torch.manual_seed(0)
    made, expected = ROUTERS[name]
    model, batch = made(), numbers(64, 6)
    found = assessed("soften-router", model, batch)
    assert isinstance(found, Prescription), found.reason
    assert set(found.settings) == expected
    after = treat(model, found, batch, F.cross_entropy).model
    scores = (after.scale * after.router(batch[0])).detach()
    assert 0.1 < float(scores.var(-1, correction=0).mean().sqrt()) < 2.0
    verdict = ClosedGate().examine(trace(after, batch, F.cross_entropy, probe_steps=0))
    assert not isinstance(verdict, Found)


def test_a_normalised_router_has_its_scores_divided() -> None:
    torch.manual_seed(0)
    router = nn.Sequential(nn.Linear(6, 5), nn.LayerNorm(5, elementwise_affine=False))
    model, batch = Mixture(router, scale=90.0), numbers(64, 6)
    found = assessed("soften-router", model, batch)
    assert isinstance(found, Prescription), found.reason
    assert Keeps.ARCHITECTURE not in found.keeps
    after = treat(model, found, batch, F.cross_entropy).model
    scores = 90.0 * after.router(batch[0]).detach() * float(found.settings[""])
    assert float(F.softmax(scores, -1).max()) < 0.9


@pytest.mark.parametrize("name", ["large weights", "favour", "two layers"])
def test_the_contract_of_soften_router(name: str) -> None:
    fair = Mixture(nn.Linear(6, 5)), numbers(64, 6)
    check_remedy(
        remedy_of("soften-router"),
        ROUTERS[name][0],
        numbers(64, 6),
        F.cross_entropy,
        unfit=[fair, (nn.Linear(6, 3), numbers(64, 6))],
    )
