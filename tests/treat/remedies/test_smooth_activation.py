"""Tanh in the place of functions without curvature, where the loss takes second derivatives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unvanish.core.prescriptions import Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.testing import check_remedy
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import case_of, treat


class Equation(nn.Module):
    """The residual of u'' + u = 0 and the value at 0."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(1, 16), nn.Linear(16, 16), nn.Linear(16, 1)
        self.function = function

    def u(self, t: Tensor) -> Tensor:
        out: Tensor = self.last(self.function(self.second(self.function(self.first(t)))))
        return out

    def forward(self, t: Tensor) -> Tensor:
        with torch.enable_grad():
            t = t.detach().requires_grad_(True)
            u = self.u(t)
            first = torch.autograd.grad(u.sum(), t, create_graph=True)[0]
            second = torch.autograd.grad(
                first.sum(), t, create_graph=True, allow_unused=True, materialize_grads=True
            )[0]
        return torch.cat([second + u, self.u(torch.zeros_like(t)) - 1.0], 1)


def batch() -> tuple[Tensor, Tensor]:
    return torch.linspace(0.0, 2.0, 32).unsqueeze(1), torch.zeros(32, 2)


@pytest.mark.parametrize("function", [F.relu, F.leaky_relu, F.hardtanh])
def test_the_curvature_is_learnt_from(function: Callable[[Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    model = Equation(function)
    treated = treat(model, "smooth-activation", batch(), F.mse_loss).model

    def taught(network: nn.Module) -> float:
        residual = network(batch()[0])[:, :1] - network.u(batch()[0])
        slopes = torch.autograd.grad(
            residual.square().sum(), list(network.parameters()), allow_unused=True
        )
        return sum(float(slope.abs().sum()) for slope in slopes if slope is not None)

    assert taught(treated) > 1e-6
    t = batch()[0]
    by_hand = Equation(torch.tanh)
    by_hand.load_state_dict(model.state_dict())
    torch.testing.assert_close(treated(t), by_hand(t))


@pytest.mark.parametrize(
    "model",
    [Equation(torch.tanh), nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 2))],
    ids=["smooth already", "no derivatives"],
)
def test_what_has_no_flat_derivative_is_left_alone(model: nn.Module) -> None:
    found = remedy_of("smooth-activation").assess(case_of(model, batch(), F.mse_loss))
    assert isinstance(found, NotApplicable)
    assert "curvature" in found.reason


def test_it_keeps_the_contract() -> None:
    model = Equation(F.relu)
    found = remedy_of("smooth-activation").assess(case_of(model, batch(), F.mse_loss))
    assert isinstance(found, Prescription)
    check_remedy(
        remedy_of("smooth-activation"),
        lambda: Equation(F.relu),
        batch(),
        F.mse_loss,
        unfit=[(Equation(torch.tanh), batch())],
    )
