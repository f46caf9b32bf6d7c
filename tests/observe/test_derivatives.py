"""Derivatives in a loss: which are to be learnt from, and which are inputs, steps or constants."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import functional as calculus
from torch.nn import functional as F

import unvanish
from unvanish.core.findings import Severity
from unvanish.diagnose import diagnose
from unvanish.diagnose.cuts import derivatives_of

Answer = Callable[["Field", Tensor], Tensor]


class Field(nn.Module):
    """A field over its input, a second network, and a forward of one's own."""

    def __init__(self, forward: Answer) -> None:
        super().__init__()
        self.u = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
        self.body = nn.Linear(3, 3)
        self.rate = nn.Parameter(torch.tensor(0.7))
        self.fixed = [copy.deepcopy(self.u).requires_grad_(False)]  # registered nowhere
        self.own = forward

    def forward(self, x: Tensor) -> Any:
        return self.own(self, x)


def loss(output: Any, target: Tensor) -> Tensor:
    return F.mse_loss(output, target)


X = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
Y = torch.randn(16, 1, generator=torch.Generator().manual_seed(1))


def slope(of: Tensor, by: Tensor, **options: Any) -> Tensor:
    (found,) = torch.autograd.grad(of.sum(), by, retain_graph=True, **options)
    return found


def asked(x: Tensor) -> Tensor:
    return x.clone().requires_grad_(True)


def seen(forward: Answer, *, training: bool = True, optimizer: Any = None) -> Any:
    torch.manual_seed(0)
    model = Field(forward).train(training)
    given = optimizer(model) if optimizer else None
    return unvanish.trace(model, (X, Y), loss, optimizer=given, batches=1, probe_steps=0)


def findings(recording: Any) -> list[Any]:
    return [one for one in diagnose(recording).findings if one.code == "UV505"]


# ---------------------------------------------------------------------------- sick


def an_equation(own: Field, x: Tensor) -> Tensor:
    x = asked(x)
    u = own.u(x)
    return slope(u, x).sum(1, keepdim=True) + 0.5 * u


def an_equation_with_products(own: Field, x: Tensor) -> Tensor:
    x = asked(x)
    u = own.u(x)
    return u * slope(u, x).mean(1, keepdim=True) * own.rate + u


def of_the_second_order(own: Field, x: Tensor) -> Tensor:
    x = asked(x)
    u = own.u(x)
    return slope(slope(u, x, create_graph=True), x).sum(1, keepdim=True) + 0.0 * u


def a_penalty(own: Field, x: Tensor) -> Tensor:
    between = asked(0.5 * x + 0.5 * own.body(x).detach())
    score = own.u(between)
    return score + (slope(score, between).norm(dim=1, keepdim=True) - 1.0).square()


def a_penalty_inside(own: Field, x: Tensor) -> Tensor:
    h = own.body(x)
    score = own.u(h)
    return score + slope(score, h).square().sum(1, keepdim=True)


def an_unrolled_descent(own: Field, x: Tensor) -> Tensor:
    y, out = asked(x), own.body(x).sum(1, keepdim=True)
    for _ in range(3):
        y = y - 0.1 * slope(own.u(y), y)
    return out + y.sum(1, keepdim=True)


def a_jacobian(own: Field, x: Tensor) -> Tensor:
    table = calculus.jacobian(lambda at: own.u(at).sum(0), x)
    return table.sum((0, 2))[:, None] + own.u(x)


def a_hessian(own: Field, x: Tensor) -> Tensor:
    table = calculus.hessian(lambda at: own.u(at).sum(), x[0])
    return table.diagonal().sum() + own.u(x)


SICK = [
    an_equation,
    an_equation_with_products,
    of_the_second_order,
    a_penalty,
    a_penalty_inside,
    an_unrolled_descent,
    a_jacobian,
    a_hessian,
]


@pytest.mark.parametrize("forward", SICK)
def test_a_derivative_that_comes_to_the_loss_is_found(forward: Answer) -> None:
    recording = seen(forward)
    (one,) = derivatives_of(recording)
    assert one.source is not None
    assert one.source.function in (forward.__name__, "slope")
    assert one.op == forward.__name__.removeprefix("a_") or one.op == "grad"
    (finding,) = findings(recording)
    assert finding.severity is Severity.WARNING
    assert "u.0.weight" in finding.parameters
    assert str(one.source) in finding.message
    assert finding.help[0].startswith("create_graph=True")


def test_a_penalty_in_the_loss_itself_is_found() -> None:
    model = Field(lambda own, x: own.u(x))

    def penalised(output: Tensor, target: Tensor) -> Tensor:
        at = asked(X)
        return F.mse_loss(output, target) + slope(model.u(at), at).square().mean()

    recording = unvanish.trace(model, (X, Y), penalised, batches=1, probe_steps=0)
    (finding,) = findings(recording)
    assert "torch.autograd.grad at" in finding.message


# ---------------------------------------------------------------------------- healthy


def within_the_graph(own: Field, x: Tensor) -> Tensor:
    x = asked(x)
    u = own.u(x)
    return slope(u, x, create_graph=True).sum(1, keepdim=True) + 0.5 * u


def a_jacobian_within_the_graph(own: Field, x: Tensor) -> Tensor:
    table = calculus.jacobian(lambda at: own.u(at).sum(0), x, create_graph=True)
    return table.sum((0, 2))[:, None] + own.u(x)


def looked_at_only(own: Field, x: Tensor) -> Tensor:
    x = asked(x)
    u = own.u(x)
    own.seen = slope(u, x).norm().item()
    return u + torch.tensor(0.5)


def a_constant_on_purpose(own: Field, x: Tensor) -> Tensor:
    x = asked(x)
    u = own.u(x)
    return u + slope(u, x).detach().sum(1, keepdim=True)


def a_detached_jacobian(own: Field, x: Tensor) -> Tensor:
    table = calculus.jacobian(lambda at: own.u(at).sum(0), x).detach()
    return table.sum((0, 2))[:, None] + own.u(x)


def under_no_grad(own: Field, x: Tensor) -> Tensor:
    at = asked(x)
    u = own.u(at)
    total = u.sum()
    with torch.no_grad():
        (pull,) = torch.autograd.grad(total, at, retain_graph=True)
    return u + pull.sum(1, keepdim=True)


def along_the_sign(own: Field, x: Tensor) -> Tensor:
    at = asked(x)
    return own.u(x + 0.1 * slope(own.u(at), at).sign())


def along_the_direction(own: Field, x: Tensor) -> Tensor:
    at = asked(x)
    pull = slope(own.u(at), at)
    there = x + 0.1 * pull / pull.norm(dim=1, keepdim=True)
    return own.u(there) + there.sum(1, keepdim=True)


def along_that_of_a_copy(own: Field, x: Tensor) -> Tensor:
    at = asked(x)
    return own.u(x) + slope(own.fixed[0](at), at).square().sum(1, keepdim=True)


def on_an_embedding(own: Field, x: Tensor) -> Tensor:
    h = own.body(x)
    pull = slope(own.u(h).square(), h)
    return own.u(h + 0.1 * pull / pull.norm())


def an_inner_step(own: Field, x: Tensor) -> Tensor:
    fast = own.body.weight
    for _ in range(2):
        fast = fast - 0.1 * slope(own.u(F.linear(x, fast)).square(), fast)
    return own.u(F.linear(x, fast))


def a_step_of_a_rate(own: Field, x: Tensor) -> Tensor:
    rate = own.rate - 0.1 * slope((own.u(x) * own.rate).square(), own.rate)
    return own.u(x) * rate


def a_surrogate(own: Field, x: Tensor) -> Tensor:
    action = own.body(x)
    at = action.detach().requires_grad_(True)
    return own.u(x) - (action * slope(own.u(at), at)).sum(1, keepdim=True)


def weights_of_samples(own: Field, x: Tensor) -> Tensor:
    at = asked(x)
    hard = slope(own.u(at), at).norm(dim=1, keepdim=True)
    return own.u(x) * hard


HEALTHY = [
    within_the_graph,
    a_jacobian_within_the_graph,
    looked_at_only,
    a_constant_on_purpose,
    a_detached_jacobian,
    under_no_grad,
    along_the_sign,
    along_the_direction,
    along_that_of_a_copy,
    on_an_embedding,
    an_inner_step,
    a_step_of_a_rate,
]


@pytest.mark.parametrize("forward", HEALTHY)
def test_other_derivatives_are_left_alone(forward: Answer) -> None:
    recording = seen(forward)
    assert derivatives_of(recording) == ()
    assert findings(recording) == []


@pytest.mark.parametrize("forward", [a_surrogate, weights_of_samples])
def test_a_factor_of_what_carries_a_gradient_is_left_alone(forward: Answer) -> None:
    torch.manual_seed(0)
    model = Field(forward)

    def mean(output: Tensor, target: Tensor) -> Tensor:  # noqa: ARG001
        return output.mean()

    recording = unvanish.trace(model, (X, Y), mean, batches=1, probe_steps=0)
    assert derivatives_of(recording) == ()


def test_in_evaluation_nothing_is_said() -> None:
    assert derivatives_of(seen(an_equation, training=False)) == ()


def test_parameters_that_nobody_trains_are_left_alone() -> None:
    def of_the_rest(model: Field) -> torch.optim.Optimizer:
        return torch.optim.SGD([*model.body.parameters(), model.rate], lr=0.1)

    def beside(own: Field, x: Tensor) -> Tensor:
        at = asked(x)
        return own.body(x).sum(1, keepdim=True) * own.rate + slope(own.u(at), at).square().sum()

    assert derivatives_of(seen(beside)) != ()
    assert derivatives_of(seen(beside, optimizer=of_the_rest)) == ()
