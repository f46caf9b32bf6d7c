"""UV505: values and weights that the forward pass writes behind autograd's back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish import checkup
from unvanish.core.findings import Finding, Severity
from unvanish.core.verdicts import Found

X = torch.rand(64, 64, generator=torch.Generator().manual_seed(0))
Y = torch.arange(64) % 10


class Deep(nn.Module):
    def __init__(self, depth: int, act: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(depth))
        self.out, self.act = nn.Linear(64, 10), act
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.act(layer(x))
        return self.out(x)


def findings(net: nn.Module, optimizer: type[torch.optim.Optimizer], lr: float) -> list[Finding]:
    made = optimizer(net.parameters(), lr=lr)
    report = checkup(net, (X, Y), loss=F.cross_entropy, optimizer=made, select=["UV505"])
    verdict = report.diagnosis.verdicts["UV505"]
    return list(verdict.findings) if isinstance(verdict, Found) else []


def clamped(x: Tensor) -> Tensor:
    x.data.clamp_(min=0)
    return x


def halved(x: Tensor) -> Tensor:
    x = x.relu()
    x.data.mul_(0.5)
    return x


def bounded(x: Tensor) -> Tensor:
    x = x.relu()
    x.data.clamp_(max=100)
    return x


def rounded(x: Tensor) -> Tensor:
    x = x.relu()
    x.data.copy_((x.data * 15).round() / 15)
    return x


def signs(x: Tensor) -> Tensor:
    x = x.tanh()
    x.data.sign_()
    return x


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("depth", "act", "severity"),
    [
        (8, clamped, Severity.WARNING),
        (8, halved, Severity.WARNING),
        (2, clamped, Severity.NOTE),
        (8, bounded, Severity.NOTE),
        (8, rounded, Severity.NOTE),
        (8, signs, Severity.NOTE),
    ],
)
def test_a_write_is_judged_by_how_wrong_it_makes_the_gradient(
    seed: int, depth: int, act: Callable[[Tensor], Tensor], severity: Severity
) -> None:
    torch.manual_seed(seed)
    (finding,) = findings(Deep(depth, act), torch.optim.SGD, 0.05)
    assert finding.severity is severity
    if severity is Severity.WARNING:
        assert finding.measured < 0.1


class Written(nn.Linear):
    """Writes into its own weight in every forward pass."""

    def __init__(self, i: int, o: int, write: Callable[[Tensor], Tensor]) -> None:
        super().__init__(i, o)
        self.write = write

    def forward(self, x: Tensor) -> Tensor:
        self.weight.data = self.write(self.weight.data)
        return F.linear(x, self.weight, self.bias)


def written(write: Callable[[Tensor], Tensor]) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(Written(64, 32, write), nn.ReLU(), nn.Linear(32, 10))


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
@pytest.mark.parametrize(
    "write", [lambda w: w.sign() / 8, lambda w: (w * 8).round() / 8, lambda w: w * 0 + 0.1]
)
def test_weights_that_are_written_over(
    write: Callable[[Tensor], Tensor], optimizer: type[torch.optim.Optimizer]
) -> None:
    (finding,) = findings(written(write), optimizer, 1e-3)
    assert finding.severity is Severity.WARNING
    assert finding.parameters == ("0.weight",)


@pytest.mark.parametrize(
    "write",
    [
        lambda w: w.renorm(2, 0, 1.0),
        lambda w: F.normalize(w, dim=1),
        lambda w: w.clamp(-0.1, 0.1),
        lambda w: w - w.mean(1, keepdim=True),
        lambda w: w * (torch.arange(64) % 2),
        lambda w: w * (torch.arange(w.numel()).view_as(w) % 400 == 0),
        torch.zeros_like,
        lambda w: w.clone(),
    ],
)
def test_projections_keep_most_of_a_step(write: Callable[[Tensor], Tensor]) -> None:
    assert not findings(written(write), torch.optim.SGD, 0.1)
