"""A stack of recurrent layers is judged by its depth, whatever its length."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import unvanish
from unvanish.core.findings import Cause
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured
from unvanish.diagnose.folding import folded_flow
from unvanish.diagnose.rules.vanishing import VanishingGradient

WAVES = torch.linspace(0.0, 6.0, 8)[:, None, None] + torch.linspace(0.0, 6.0, 10)[:, None]


class Stack(nn.Module):
    """Recurrent layers above each other, written out, with a target at every step."""

    def __init__(self, layers: int, activation: nn.Module, *, by_step: bool = False) -> None:
        super().__init__()
        self.by_step = by_step
        self.inputs = nn.ModuleList(nn.Linear(1 if i == 0 else 16, 16) for i in range(layers))
        self.pasts = nn.ModuleList(nn.Linear(16, 16, bias=False) for _ in range(layers))
        self.activation = activation
        self.head = nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        if self.by_step:
            states = [torch.zeros(len(x), 16) for _ in self.inputs]
            tops = []
            for t in range(x.shape[1]):
                h = x[:, t]
                for i, (own, past) in enumerate(zip(self.inputs, self.pasts, strict=True)):
                    h = states[i] = self.activation(own(h) + past(states[i]))
                tops.append(h)
            return self.head(torch.stack(tops, dim=1))
        for own, past in zip(self.inputs, self.pasts, strict=True):
            h, states = torch.zeros(len(x), 16), []
            for driven in own(x).unbind(dim=1):
                h = self.activation(driven + past(h))
                states.append(h)
            x = torch.stack(states, dim=1)
        return self.head(x)


class Library(nn.Module):
    """The same from the library."""

    def __init__(self, kind: type[nn.RNNBase], layers: int) -> None:
        super().__init__()
        self.rnn = kind(1, 16, num_layers=layers, batch_first=True)
        self.head = nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0])


def recording(model: nn.Module) -> Recording:
    torch.set_num_threads(1)
    batch = WAVES.sin(), WAVES.cos()
    return unvanish.checkup(model, batch, loss=nn.MSELoss(), select=["UV101"]).recording


@pytest.mark.parametrize("by_step", [False, True], ids=["layer by layer", "step by step"])
def test_a_stack_of_sigmoid_cells_is_as_deep_as_it_has_layers(by_step: bool) -> None:
    torch.manual_seed(0)
    seen = recording(Stack(8, nn.Sigmoid(), by_step=by_step))
    flow = folded_flow(seen)
    assert flow is not None
    assert len(flow.levels) == 17  # two matrices a layer, and the head
    assert {level.layer for level in flow.levels} <= set(seen.sites)
    verdict = VanishingGradient().examine(seen)
    assert isinstance(verdict, Found)
    assert verdict.findings[0].causes[0] is Cause.ACTIVATION_SLOPE
    assert verdict.findings[0].measured > 5.0


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_two_layers_of_the_library_lose_little(kind: type[nn.RNNBase]) -> None:
    torch.manual_seed(0)
    verdict = VanishingGradient().examine(recording(Library(kind, 2)))
    assert isinstance(verdict, Clear)
    assert verdict.margin > 1.0


def test_a_network_without_time_is_not_folded() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(10, 8), nn.Tanh(), nn.Linear(8, 10))
    batch = WAVES.sin(), WAVES.cos().squeeze(2)
    assert folded_flow(unvanish.checkup(model, batch, loss=nn.MSELoss()).recording) is None


def test_numbers_out_of_range_break_nothing() -> None:
    seen = recording(Stack(2, nn.Tanh()))
    for value in (1e300, float("inf"), float("nan"), 0.0):
        sizes = seen[Quantity.ACTIVATION_RMS]
        strange = replace(sizes, values=dict.fromkeys(sizes.values, value))
        grads = seen[Quantity.LOG10_PROBE_GRAD_RMS]
        exponents = (400.0, -math.inf, math.nan)
        for exponent in exponents:
            other = replace(grads, values=dict.fromkeys(grads.values, exponent))
            profiles = {**seen.profiles, sizes.quantity: strange, grads.quantity: other}
            verdict = VanishingGradient().examine(replace(seen, profiles=profiles))
            assert isinstance(verdict, Clear | Found | NotApplicable | NotMeasured)
