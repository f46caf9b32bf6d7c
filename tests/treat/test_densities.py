"""A likelihood that adds up its own stretches is not to be changed behind its back."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unvanish.core.prescriptions import Change
from unvanish.core.records import Recording
from unvanish.observe import trace
from unvanish.treat.densities import untrue
from unvanish.treat.prescribing import prescribe


class Flow(nn.Module):
    """Coupling layers; the logarithm of the stretch is told, negated or bounded before."""

    def __init__(self, kind: str = "plain", depth: int = 4) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 4)) for _ in range(depth)
        )
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        total = x.new_zeros(len(x))
        for layer in self.layers:
            a, b = x.chunk(2, 1)
            s, t = layer(a).chunk(2, 1)
            s = torch.tanh(s) if self.kind == "bounded" else s
            b = (b - t) * torch.exp(-s) if self.kind == "negated" else b * torch.exp(s) + t
            total = total + (-s if self.kind == "negated" else s).sum(1)
            x = torch.cat([b, a], 1)
        return -0.5 * x.square().sum(1) + total


class Encoder(nn.Module):
    """A variational encoder: what scales is noise, and its logarithm is in the divergence."""

    def __init__(self) -> None:
        super().__init__()
        self.code, self.decode = nn.Linear(4, 4), nn.Linear(2, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log = self.code(x).chunk(2, 1)
        z = mean + torch.exp(0.5 * log) * torch.randn_like(log)
        return self.decode(z), (mean.square() + log.exp() - log).sum(1)


class Attention(nn.Module):
    """A softmax by hand: exponentials that weigh other signal."""

    def __init__(self) -> None:
        super().__init__()
        self.score, self.value, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.score(x).exp()
        out: Tensor = self.head(weights / weights.sum(-1, keepdim=True) * self.value(x))
        return out


def likelihood(output: Tensor, _: Tensor) -> Tensor:
    return -output.mean()


def divergence(output: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
    return F.mse_loss(output[0], target) + output[1].mean()


def seen(model: nn.Module, width: int, loss: object) -> Recording:
    torch.manual_seed(0)
    x = torch.randn(16, width)
    target = torch.zeros(16, dtype=torch.long) if loss == "cross_entropy" else x
    return trace(model, (x, target), loss)


@pytest.mark.parametrize("kind", ["plain", "negated", "bounded"])
def test_a_flow_is_told_by_what_it_adds_up(kind: str) -> None:
    recording = seen(Flow(kind), 4, likelihood)
    assert "stretches its input" in untrue(recording, Change.PATH)
    assert untrue(recording, Change.DATA)
    assert untrue(recording, Change.ACTIVATION) == ""


@pytest.mark.parametrize(
    ("model", "loss"), [(Encoder(), divergence), (Attention(), "cross_entropy")]
)
def test_other_exponentials_are_left_alone(model: nn.Module, loss: object) -> None:
    assert untrue(seen(model, 4, loss), Change.PATH) == ""


def test_no_path_round_a_layer_is_offered() -> None:
    torch.manual_seed(0)
    x = torch.randn(16, 4)
    advice = prescribe(
        Flow(), None, (x, x), likelihood, names=("rezero", "scaled-residual", "layer-norm")
    )
    assert {"rezero", "scaled-residual"} <= advice.refused.keys()
    assert any(option.remedies == ("layer-norm",) for option in advice.options)
