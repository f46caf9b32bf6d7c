"""The terms of a loss: how they are told apart, and their gradients against closed forms."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish import trace
from unvanish.observe.terms import terms_of, weighed

a = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
b = torch.tensor([0.5, 0.25, 4.0], requires_grad=True)
rate = torch.tensor(0.3)


@pytest.mark.parametrize(
    ("loss", "count"),
    [
        (lambda: a.pow(2).mean(), 0),
        (lambda: 2.0 * a.pow(2).mean(), 0),
        (lambda: a.pow(2).mean() + b.abs().sum(), 2),
        (lambda: 0.5 * (a.pow(2).mean() - rate * b.abs().sum()) / 3, 2),
        (lambda: sum([a.exp().sum(), b.exp().sum(), (a * b).sum()]), 3),
        (lambda: torch.stack([a.exp().sum(), b.exp().sum()]).mean(), 2),
        (lambda: (torch.stack([a.exp().sum(), b.exp().sum()]) * torch.ones(2)).sum(), 2),
        (lambda: (a.outer(b).sum(1) + b.outer(a).pow(2).mean(1)).mean(), 2),
        (lambda: (a + b).mean(), 0),  # one thing, entry by entry
        (lambda: (a * a.log() + b * b.log()).mean(), 0),  # an operation written by hand
        (lambda: (1 + a - a.pow(2) - a.exp()).sum(), 0),
        (lambda: a.sum() * b.sum(), 0),  # a product is no sum
        (lambda: (lambda one: one + 0.1 * one)(a.exp().sum()), 0),  # one term twice
        (lambda: sum((k * a).exp().sum() for k in range(1, 11)), 0),  # too many
    ],
)
def test_what_counts_as_a_term(loss: Callable[[], Tensor], count: int) -> None:
    assert len(terms_of(loss().grad_fn)) == count


def test_the_gradient_of_a_term_is_multiplied() -> None:
    loss = a.pow(2).sum() + 3.0 * b.pow(2).sum()
    with weighed(terms_of(loss.grad_fn), (10.0, 0.0)):
        both = torch.autograd.grad(loss, [a, b], retain_graph=True)
    assert torch.equal(both[0], 20.0 * a.detach())
    assert not both[1].any()
    assert torch.equal(torch.autograd.grad(loss, b)[0], 6.0 * b.detach())


class Linear(nn.Module):
    """y = w x with a head that only the first term uses."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Linear(1, 1, bias=False)
        self.own = nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.shared.weight, 2.0)
        nn.init.constant_(self.own.weight, 3.0)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.shared(x)
        return self.own(h), h


def two(output: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
    return F.mse_loss(output[0], target) + 0.01 * output[1].pow(2).mean()


def test_gradients_are_those_of_closed_forms_and_nothing_is_left_behind() -> None:
    model = Linear()
    before = copy.deepcopy(model.state_dict())
    x = torch.ones(4, 1)
    recording = trace(model, (x, torch.zeros(4, 1)), two, optimizer=_sgd)
    fit, penalty = recording.terms
    assert [recording.sites[t.site].op for t in (fit, penalty)] == ["mse_loss", "pow"]
    assert (fit.is_fit, penalty.is_fit) == (True, False)
    assert (fit.value, penalty.value) == (pytest.approx(36.0), pytest.approx(0.04))
    # d (6)^2 / d shared = 2 * 6 * 3, d / d own = 2 * 6 * 2; d 0.01 h^2 / d shared = 0.02 * 2
    assert fit.log10_grads == pytest.approx((math.log10(math.hypot(36, 24)), math.log10(36)))
    assert penalty.log10_grads == pytest.approx((math.log10(0.04), math.log10(0.04)))
    assert recording.term_trial is None  # a penalty may be small
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_drowned_term_is_tried_and_the_network_is_left_as_it_was() -> None:
    def loss(output: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
        return F.mse_loss(output[0], target) + 1e5 * output[1].pow(2).mean()

    model = Linear()
    before, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    x = torch.linspace(-1, 1, 8)[:, None]
    recording = trace(model, (x, x), loss, optimizer=_sgd)
    trial = recording.term_trial
    assert trial is not None
    assert trial.term == 0
    ratio = recording.terms[1].log10_grads[0] - recording.terms[0].log10_grads[1]
    assert trial.factor == pytest.approx(10.0**ratio)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_heads_on_the_same_data_do_not_drown_each_other() -> None:
    def loss(output: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
        return F.mse_loss(output[0], target) + 1e-4 * F.mse_loss(output[1], target)

    x = torch.linspace(-1, 1, 8)[:, None]
    recording = trace(Linear(), (x, x), loss, optimizer=_sgd)
    main, auxiliary = recording.terms
    assert main.is_fit
    assert auxiliary.is_fit
    assert math.isnan(auxiliary.log10_grads[0])
    assert recording.term_trial is None


def test_a_detached_answer_is_no_data() -> None:
    def loss(output: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
        commitment = F.mse_loss(output[1], output[0].detach())
        return (output[0] - target).square().mean() + 1e-4 * commitment

    x = torch.linspace(-1, 1, 8)[:, None]
    recording = trace(Linear(), (x, x), loss, optimizer=_sgd)
    assert [term.is_fit for term in recording.terms] == [True, False]
    assert recording.term_trial is None


def _sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=1e-9)
