"""Gates that no one would call shut, through which a signal fades all the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unvanish.core.prescriptions import Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.observe import trace
from unvanish.testing import check_remedy
from unvanish.theory.recurrent import carrying_bias
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import case_of, treat

STEPS, DEPTH = 24, 16


class Highway(nn.Module):
    """Layers of sigmoids that hardly carry; or whose gate is the one that carries."""

    def __init__(self, bias: float, *, carries: bool = False) -> None:
        super().__init__()
        self.inputs = nn.Linear(8, 8)
        self.changes = nn.ModuleList(nn.Linear(8, 8) for _ in range(DEPTH))
        self.gates = nn.ModuleList(nn.Linear(8, 8) for _ in range(DEPTH))
        for gate in self.gates:
            nn.init.constant_(gate.bias, bias)
        self.head, self.carries = nn.Linear(8, 3), carries

    def forward(self, x: Tensor) -> Tensor:
        x = self.inputs(x)
        for change, gate in zip(self.changes, self.gates, strict=True):
            new, g = torch.sigmoid(change(x)), torch.sigmoid(gate(x))
            x = g * x + (1.0 - g) * new if self.carries else g * new + (1.0 - g) * x
        return self.head(x)


class Long(nn.Module):
    """An LSTM by hand: its gates made at once and taken apart, or the other way round."""

    def __init__(self, bias: float, *, apart: bool = False) -> None:
        super().__init__()
        self.gates, self.new = nn.Linear(14, 24), nn.Linear(14, 8)
        nn.init.constant_(self.gates.bias, bias)
        self.head, self.apart = nn.Linear(8, 3), apart

    def forward(self, x: Tensor) -> Tensor:
        h = c = x.new_zeros(len(x), 8)
        for step in x.unbind(1):
            both = torch.cat([step, h], 1)
            if self.apart:
                write, forget, show = (torch.sigmoid(g) for g in self.gates(both).chunk(3, 1))
            else:
                write, forget, show = torch.sigmoid(self.gates(both)).chunk(3, 1)
            c = forget * c + write * torch.tanh(self.new(both))
            h = show * torch.tanh(c)
        return self.head(h)


class Gated(nn.Module):
    """A GRU by hand whose update gate takes in what is new."""

    def __init__(self, bias: float) -> None:
        super().__init__()
        self.update, self.new, self.head = nn.Linear(14, 8), nn.Linear(14, 8), nn.Linear(8, 3)
        nn.init.constant_(self.update.bias, bias)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), 8)
        for step in x.unbind(1):
            both = torch.cat([step, h], 1)
            z = torch.sigmoid(self.update(both))
            h = (1 - z) * h + z * torch.tanh(self.new(both))
        return self.head(h)


def numbers(*shape: int) -> tuple[Tensor, Tensor]:
    return torch.randn(*shape), torch.randint(0, 3, (shape[0],))


FLAT, LONG = (32, 8), (16, STEPS, 6)
LAYERS = {f"gates.{k}.bias": "0:8" for k in range(DEPTH)}
CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], dict[str, str], float]] = {
    "transform gates": (lambda: Highway(3.0), FLAT, LAYERS, -carrying_bias(DEPTH)),
    "carry gates": (lambda: Highway(-3.0, carries=True), FLAT, LAYERS, carrying_bias(DEPTH)),
    "all gates at once": (lambda: Long(-1.5), LONG, {"gates.bias": "8:16"}, carrying_bias(STEPS)),
    "gates apart": (
        lambda: Long(-1.5, apart=True),
        LONG,
        {"gates.bias": "8:16"},
        carrying_bias(STEPS),
    ),
    "update gate": (lambda: Gated(1.5), LONG, {"update.bias": "0:8"}, -carrying_bias(STEPS)),
}


def assessed(model: nn.Module, batch: Any) -> Prescription | NotApplicable:
    return remedy_of("carry-gate").assess(case_of(model, batch, F.cross_entropy))


@pytest.mark.parametrize("name", CASES)
def test_the_gate_that_carries_is_opened_for_as_long_as_it_carries(name: str) -> None:
    torch.manual_seed(0)
    made, shape, entries, value = CASES[name]
    model, batch = made(), numbers(*shape)
    found = assessed(model, batch)
    assert isinstance(found, Prescription), found.reason
    told = {bias: str(said).split(" = ") for bias, said in found.settings.items()}
    assert {bias: one[0] for bias, one in told.items()} == entries
    for one in told.values():
        assert float(one[1]) == pytest.approx(value, abs=0.01)


def test_the_gradient_arrives_at_the_first_step() -> None:
    torch.manual_seed(0)
    x, y = numbers(*LONG)
    x.requires_grad_()
    model = Long(-1.5)
    treated = treat(model, "carry-gate", (x.detach(), y), F.cross_entropy).model

    def share(network: nn.Module) -> float:
        (slope,) = torch.autograd.grad(F.cross_entropy(network(x), y), x)
        return float(slope[:, 0].norm() / slope[:, -1].norm())

    assert share(model) < 1e-10
    assert share(treated) > 1e-2


@pytest.mark.parametrize(
    ("model", "shape", "said"),
    [
        (Highway(-3.0), FLAT, "hands its gradient on"),
        (Gated(-3.0), LONG, "hands its gradient on"),
        (nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3)), FLAT, "no gate"),
    ],
)
def test_what_hands_its_gradient_on_is_left_alone(
    model: nn.Module, shape: tuple[int, ...], said: str
) -> None:
    found = assessed(model, numbers(*shape))
    assert isinstance(found, NotApplicable)
    assert said in found.reason


def test_a_bias_that_is_not_trained_is_left_alone() -> None:
    model = Gated(1.5)
    model.update.bias.requires_grad_(False)
    found = assessed(model, numbers(*LONG))
    assert isinstance(found, NotApplicable)
    assert "no trained bias" in found.reason


@pytest.mark.parametrize("name", ["transform gates", "all gates at once"])
def test_it_keeps_the_contract(name: str) -> None:
    made, shape, _, _ = CASES[name]
    plain = (nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3)), numbers(*FLAT))
    check_remedy(remedy_of("carry-gate"), made, numbers(*shape), F.cross_entropy, unfit=[plain])


def test_a_look_at_the_treated_network_finds_nothing() -> None:
    torch.manual_seed(0)
    batch = numbers(*FLAT)
    treated = treat(Highway(3.0), "carry-gate", batch, F.cross_entropy).model
    case = case_of(
        treated, batch, F.cross_entropy, recording=trace(treated, batch, F.cross_entropy)
    )
    assert isinstance(remedy_of("carry-gate").assess(case), NotApplicable)
