"""UV205: derivatives inside of a loss, products that underflow, and silent thresholds."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish import checkup
from unvanish.core.findings import Cause, Severity
from unvanish.core.verdicts import Found

X = torch.rand(64, 1, generator=torch.Generator().manual_seed(0))


def slope(u: Tensor, x: Tensor) -> Tensor:
    return torch.autograd.grad(u.sum(), x, create_graph=True)[0]


class Residual(nn.Module):
    """Answers the loss of an equation at the points that it is given."""

    def __init__(self, act: nn.Module, loss: Callable[[Callable[..., Tensor], Tensor], Tensor]):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 24), act, nn.Linear(24, 24), act, nn.Linear(24, 1))
        self.loss = loss

    def forward(self, x: Tensor) -> Tensor:
        return self.loss(self.net, x.clone().requires_grad_(True))


def poisson(net: Callable[..., Tensor], x: Tensor) -> Tensor:
    residual = slope(slope(net(x), x), x) + torch.sin(3 * x)
    return residual.square().mean() + net(torch.tensor([[0.0], [1.0]])).square().mean()


def burgers(net: Callable[..., Tensor], x: Tensor) -> Tensor:
    u = net(x)
    first = slope(u, x)
    return (u * first - 0.1 * slope(first, x)).square().mean()


def eikonal(net: Callable[..., Tensor], x: Tensor) -> Tensor:
    return (slope(net(x), x).abs() - 1).square().mean() + net(torch.zeros(1, 1)).square().mean()


def adapted(net: nn.Module, x: Tensor) -> Tensor:
    parameters = dict(net.named_parameters())
    inner = F.mse_loss(net(x), torch.sin(x))
    slopes = torch.autograd.grad(inner, list(parameters.values()), create_graph=True)
    moved = {n: p - 0.1 * g for (n, p), g in zip(parameters.items(), slopes, strict=True)}
    return F.mse_loss(torch.func.functional_call(net, moved, (x,)), torch.sin(x))


def of_residual(act: nn.Module, loss: Callable[..., Tensor]) -> object:
    torch.manual_seed(0)
    return checkup(Residual(act, loss), X, select=["UV205"]).diagnosis.verdicts["UV205"]


@pytest.mark.parametrize("act", [nn.ReLU(), nn.LeakyReLU(0.2), nn.Hardtanh()])
@pytest.mark.parametrize("loss", [poisson, burgers])
def test_the_second_derivative_of_a_piecewise_linear_network(
    act: nn.Module, loss: Callable[..., Tensor]
) -> None:
    verdict = of_residual(act, loss)
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    assert finding.severity is Severity.WARNING
    assert finding.causes[0] is Cause.ACTIVATION_SLOPE
    assert "torch.nn.Tanh()" in finding.help[0]


@pytest.mark.parametrize(
    ("act", "loss"),
    [
        (nn.Tanh(), poisson),
        (nn.Softplus(), burgers),
        (nn.ReLU(), eikonal),
        (nn.LeakyReLU(0.2), eikonal),
        (nn.ReLU(), adapted),
    ],
)
def test_derivatives_that_depend_on_the_weights(
    act: nn.Module, loss: Callable[..., Tensor]
) -> None:
    assert not isinstance(of_residual(act, loss), Found)


class Chain(nn.Module):
    """The likelihood of a path, as a product of many probabilities."""

    def __init__(self, steps: int, *, shifted: bool = False) -> None:
        super().__init__()
        self.move = nn.Parameter(torch.randn(6, 6))
        self.steps, self.shifted = steps, shifted

    def forward(self, x: Tensor) -> Tensor:
        seen = (x * 0.05).sigmoid() * 0.05
        belief = torch.full((len(x), 6), 1 / 6)
        for _ in range(self.steps):
            belief = (belief @ self.move.softmax(1)) * seen
        total = belief.sum(1)
        return -(total.clamp(0.5, 0.9) if self.shifted else total.clamp_min(1e-37)).log()


def test_a_product_that_underflows_into_a_clamp() -> None:
    def examined(net: nn.Module) -> object:
        report = checkup(net, (X, X), loss=lambda o, _: o.mean(), select=["UV205"])
        return report.diagnosis.verdicts["UV205"]

    torch.manual_seed(0)
    verdict = examined(Chain(60))
    assert isinstance(verdict, Found)
    assert verdict.findings[0].causes[0] is Cause.PRECISION
    assert "logsumexp" in verdict.findings[0].help[0]
    out_of_range = examined(Chain(2, shifted=True))
    assert isinstance(out_of_range, Found)
    assert out_of_range.findings[0].causes == (Cause.ACTIVATION_SLOPE,)
    assert not isinstance(examined(Chain(4)), Found)


class Spike(torch.autograd.Function):
    """A step forwards, a window backwards."""

    @staticmethod
    def forward(ctx, v):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(v)
        return (v > 0).float()

    @staticmethod
    def backward(ctx, g):  # type: ignore[no-untyped-def]
        return g * (ctx.saved_tensors[0].abs() < 0.5).float()


class Spiking(nn.Module):
    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(1, 32), nn.Linear(32, 1)
        self.threshold = threshold

    def forward(self, x: Tensor) -> Tensor:
        potential, spikes = torch.zeros(len(x), 32), []
        for _ in range(6):
            potential = 0.9 * potential + self.first(x)
            spikes.append(Spike.apply(potential - self.threshold))
            potential = potential - spikes[-1] * self.threshold
        return self.last(torch.stack(spikes).mean(0))


@pytest.mark.parametrize(("threshold", "is_sick"), [(20.0, True), (0.5, False)])
def test_a_threshold_out_of_reach(threshold: float, is_sick: bool) -> None:
    torch.manual_seed(0)
    report = checkup(Spiking(threshold), (X, X), loss="mse_loss", select=["UV101"])
    verdict = report.diagnosis.verdicts["UV101"]
    assert isinstance(verdict, Found) is is_sick
    if isinstance(verdict, Found):
        (finding,) = verdict.findings
        assert finding.measured == math.inf
        assert finding.causes[0] is Cause.ACTIVATION_SLOPE
        assert "threshold" in finding.help[0]
