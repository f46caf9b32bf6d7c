"""Silent units: joined over the calls of a layer, and their null where samples lie in a plane."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording
from unvanish.diagnose.rules.dead import DeadUnits
from unvanish.observe import trace


def look(model: nn.Module, features: int = 4, samples: int = 64) -> Recording:
    torch.manual_seed(0)
    batch = (torch.randn(samples, features), torch.randn(samples, 1))
    return trace(model, batch, F.mse_loss, probe_steps=0, batches=1)


def dead(recording: Recording) -> list[float]:
    profile = recording[Quantity.DEAD_FRACTION]
    return [profile[site] for site in recording.sites if site in profile]


class CalledTwice(nn.Module):
    """Its first call sees zeros, as queries that have not been trained."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 32)
        nn.init.zeros_(self.layer.bias)
        self.head = nn.Linear(32, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = torch.relu(self.layer(torch.zeros_like(x)))
        return self.head(first + torch.relu(self.layer(x)))


class InHalves(nn.Module):
    """One call of a layer, cut into two halves with units of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 32)
        nn.init.constant_(self.layer.bias[:16], -50.0)
        self.head = nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.layer(x).chunk(2, dim=1)
        return self.head(torch.relu(left) + torch.relu(right))


class SharedFunction(nn.Module):
    """Two layers whose activation is one module."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 32), nn.Linear(32, 32)
        nn.init.constant_(self.second.bias, -50.0)
        self.relu, self.head = nn.ReLU(), nn.Linear(32, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.relu(self.second(self.relu(self.first(x)))))


def test_a_unit_is_alive_where_any_call_reaches_it():
    assert dead(look(CalledTwice())) == pytest.approx([0.0, 0.0], abs=0.1)


def test_two_halves_of_one_call_are_not_joined():
    left, right = dead(look(InHalves()))
    assert left == 1.0
    assert right < 0.2


def test_two_layers_with_one_activation_module_are_not_joined():
    first, second = dead(look(SharedFunction()))
    assert first < 0.2
    assert second == 1.0


def test_a_loop_over_time_joins_its_steps():
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.head = nn.RNNCell(4, 32, nonlinearity="relu"), nn.Linear(32, 1)

        def forward(self, x: Tensor) -> Tensor:
            state = x.new_zeros(len(x), 32)
            for _ in range(4):
                state = self.cell(x, state)
            return self.head(state)

    found = dead(look(Loop()))
    assert not found or len(set(found)) == 1


@pytest.mark.parametrize("seed", range(6))
def test_small_couplings_of_a_flow_are_healthy(seed):
    """Half of two features is masked: the nets see points on a line."""

    class Coupling(nn.Module):
        def __init__(self, keep: int) -> None:
            super().__init__()
            self.register_buffer("mask", torch.eye(2)[keep])
            self.net = nn.Sequential(
                *(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))
            )

        def forward(self, x: Tensor) -> Tensor:
            scale, shift = self.net(x * self.mask).chunk(2, 1)
            return x * self.mask + (1 - self.mask) * (x * torch.exp(torch.tanh(scale)) + shift)

    torch.manual_seed(seed)
    flow = nn.Sequential(*(Coupling(i % 2) for i in range(6)), nn.Linear(2, 1))
    verdict = DeadUnits().examine(look(flow, features=2))
    assert not getattr(verdict, "findings", ())
