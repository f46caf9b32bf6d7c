"""Plain networks of hundreds of layers, no skips, no normalisation, after one prescription."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unvanish
from unvanish.core.prescriptions import Outlook
from unvanish.diagnose import diagnose
from unvanish.treat.prescribing import outlook_of
from unvanish.treat.treatment import treat


class Dense(nn.Module):
    def __init__(self, depth: int, phi: Callable[[Tensor], Tensor], width: int = 64) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.phi = phi
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.phi(layer(x))
        return self.head(x)


class Convolutional(nn.Module):
    def __init__(self, depth: int, phi: Callable[[Tensor], Tensor], channels: int = 16) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.phi = phi
        widths = [1, *[channels] * depth]
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1) for a, b in itertools.pairwise(widths)
        )
        self.head = nn.Linear(channels * 64, 10)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.phi(layer(x))
        return self.head(x.flatten(1))


def batch_of(net: nn.Module) -> tuple[Tensor, Tensor]:
    numbers = torch.Generator().manual_seed(0)
    shape = (32, 1, 8, 8) if isinstance(net, Convolutional) else (64, 64)
    x = torch.randn(*shape, generator=numbers)
    return x, torch.arange(len(x)) % 10


def look(net: nn.Module) -> Outlook:
    batch = batch_of(net)
    recording = unvanish.trace(net, batch, nn.CrossEntropyLoss(), batches=1, probe_steps=0)
    return outlook_of(recording, diagnose(recording))


def effective_rank(net: nn.Module) -> float:
    """exp of the entropy of the singular values of the outputs, samples' mean taken off."""
    with torch.no_grad():
        outputs = net(batch_of(net)[0]).double()
    values = torch.linalg.svdvals(outputs - outputs.mean(0))
    shares = values / values.sum()
    return float(torch.exp(-(shares * shares.clamp_min(1e-300).log()).sum()))


def treated(net: nn.Module, remedy: str) -> nn.Module:
    return treat(net, remedy, batch_of(net), nn.CrossEntropyLoss()).model


@pytest.mark.parametrize(
    ("make", "phi", "remedy", "decades", "cosine", "rank"),
    [
        (Dense, torch.sigmoid, "folded-kernel-shape", 1.2, 0.2, 8),
        (Dense, torch.tanh, "shaped-activation", 0.3, 0.2, 8),
        (Dense, F.relu, "tailored-activation", 0.5, 0.95, 5),
        (lambda *a: Convolutional(*a, channels=8), F.gelu, "folded-kernel-shape", 2.0, 0.3, 7),
    ],
)
def test_a_hundred_plain_layers(
    make: Callable[..., nn.Module],
    phi: Callable[[Tensor], Tensor],
    remedy: str,
    decades: float,
    cosine: float,
    rank: float,
) -> None:
    net = make(100, phi)
    assert look(net).flow_decades < -20
    after = treated(net, remedy)
    outlook = look(after)
    assert abs(outlook.flow_decades) < decades
    assert outlook.sample_cosine < cosine
    assert effective_rank(after) > rank


@pytest.mark.slow
@pytest.mark.parametrize(
    ("phi", "remedy", "lost", "decades", "cosine", "rank"),
    [
        (torch.sigmoid, "folded-kernel-shape", 800, 2.0, 0.2, 9),
        (torch.tanh, "shaped-activation", 200, 0.3, 0.2, 9),
        (F.relu, "tailored-activation", 300, 0.7, 0.995, 4),
    ],
)
def test_a_thousand_plain_dense_layers(
    phi: Callable[[Tensor], Tensor],
    remedy: str,
    lost: float,
    decades: float,
    cosine: float,
    rank: float,
) -> None:
    net = Dense(1000, phi)
    assert look(net).flow_decades < -lost
    after = treated(net, remedy)
    outlook = look(after)
    assert abs(outlook.flow_decades) < decades
    assert outlook.sample_cosine < cosine
    assert effective_rank(after) > rank


@pytest.mark.slow
@pytest.mark.parametrize(
    ("phi", "remedy", "decades", "cosine"),
    [(F.gelu, "folded-kernel-shape", 2.0, 0.2), (F.relu, "tailored-activation", 0.7, 0.9)],
)
def test_three_hundred_plain_convolutions(
    phi: Callable[[Tensor], Tensor], remedy: str, decades: float, cosine: float
) -> None:
    net = Convolutional(300, phi)
    assert look(net).flow_decades < -100
    after = treated(net, remedy)
    outlook = look(after)
    assert abs(outlook.flow_decades) < decades
    assert outlook.sample_cosine < cosine
    assert effective_rank(after) > 8


@pytest.mark.slow
def test_a_thousand_plain_layers_learn_after_one_prescription() -> None:
    """A small task, learnt by heart: what matters is that all 1,000 layers are trained at all."""
    net = Dense(1000, torch.tanh, width=32)
    x = torch.randn(64, 32, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0).long()

    def losses(model: nn.Module, steps: int) -> list[float]:
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-5)
        found = []
        for _ in range(steps):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            found.append(float(loss.detach()))
        return found

    after = treat(net, "shaped-activation", (x, y), nn.CrossEntropyLoss()).model
    first = net.layers[0].weight.detach().clone()
    assert min(losses(net, 5)) > 0.6
    assert torch.equal(net.layers[0].weight, first)
    assert losses(after, 25)[-1] < 0.3
