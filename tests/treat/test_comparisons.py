"""Comparisons with a gradient: the answers stay, the gradient is that of a soft step."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unvanish.core.verdicts import NotApplicable
from unvanish.testing import check_remedy
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import case_of, treat

Use = Callable[[Tensor], Tensor]
"""What is made of numbers of shape (batch, 8); `_soft` has the gradient by hand."""


class Threshold(nn.Module):
    def __init__(self, use: Use, size: int = 8) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(6, 8), nn.Linear(size, 4)
        self.use = use

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.use(self.first(x)).reshape(len(x), -1))
        return out


def batch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(24, 6), torch.randint(0, 4, (24,))


def soft(v: Tensor, width: float, hard: Tensor, sign: float = 1.0) -> Tensor:
    """Return a comparison with zero, with its gradient as the books have it."""
    u = sign * v / width
    step = 0.5 * u / (1.0 + u.abs())
    return hard.float() + step - step.detach()


USES: dict[str, tuple[Use, Callable[[Tensor, float], Tensor]]] = {
    "float": (lambda v: (v > 0).float(), lambda v, w: soft(v, w, v > 0)),
    "to": (lambda v: v.gt(0.0).to(v.dtype), lambda v, w: soft(v, w, v > 0)),
    "at least": (lambda v: torch.ge(v, 0.0).type_as(v), lambda v, w: soft(v, w, v >= 0)),
    "below": (lambda v: (v < 0).float(), lambda v, w: soft(v, w, v < 0, -1.0)),
    "the other way round": (
        lambda v: torch.zeros_like(v).gt(v).float(),
        lambda v, w: soft(v, w, v < 0, -1.0),
    ),
    "times a number": (lambda v: 2.0 * (v > 0), lambda v, w: 2.0 * soft(v, w, v > 0)),
    "and a number": (lambda v: (v > 0) + 0.5, lambda v, w: soft(v, w, v > 0) + 0.5),
    "where": (
        lambda v: torch.where(v > 0, 3.0, -1.0),
        lambda v, w: 4.0 * soft(v, w, v > 0) - 1.0,
    ),
    "not": (lambda v: (~(v > 0)).float(), lambda v, w: 1.0 - soft(v, w, v > 0)),
    "filled": (
        lambda v: torch.zeros_like(v).masked_fill(v > 0, 2.0),
        lambda v, w: 2.0 * soft(v, w, v > 0),
    ),
    "whole numbers": (lambda v: (v > 0).long().float(), lambda v, w: soft(v, w, v > 0)),
    "moved about": (
        lambda v: torch.stack((v > 0).t().unbind(0)[::1], 1).float(),
        lambda v, w: soft(v, w, v > 0),
    ),
}


@pytest.mark.parametrize("name", USES)
def test_the_gradient_is_that_of_a_soft_step(name: str) -> None:
    use, by_hand = USES[name]
    torch.manual_seed(0)
    model = Threshold(use)
    x, y = batch()
    before = model(x)
    treated = treat(model, "surrogate-gradient", (x, y), F.cross_entropy)
    assert torch.equal(treated.model(x), before)
    (width,) = (float(w) for w in treated.prescriptions[0].settings.values())
    F.cross_entropy(treated.model(x), y).backward()
    other = copy.deepcopy(model)
    other.use = lambda v: by_hand(v, width)
    F.cross_entropy(other(x), y).backward()
    own = dict(treated.model.named_parameters())
    for parameter, p in other.named_parameters():
        torch.testing.assert_close(own[parameter].grad, p.grad)


def test_counts_and_two_answers_together_get_a_gradient() -> None:
    for use in (
        lambda v: (v > 0).sum(1, keepdim=True).float(),
        lambda v: ((v > 0) & (v < 2)).float().mean(1, keepdim=True),
        lambda v: ((v > 0) | (v < -2)).float().mean(1, keepdim=True),
    ):
        torch.manual_seed(0)
        model, given = Threshold(use, 1), batch()
        treated = treat(model, "surrogate-gradient", given, F.cross_entropy).model
        assert torch.equal(treated(given[0]), model(given[0]))
        F.cross_entropy(treated(given[0]), given[1]).backward()
        weight = treated.get_parameter("first.weight")
        assert weight.grad is not None
        assert bool(weight.grad.isfinite().all())
        assert float(weight.grad.abs().sum()) > 0.0


class Spiking(nn.Module):
    """A leaky neuron over five steps, reset by its own spikes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(6, 24), nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        v, total = x.new_zeros(len(x), 24), x.new_zeros(len(x), 24)
        for _ in range(5):
            v = 0.8 * v + self.first(x)
            spikes = (v > 1.0).to(v.dtype)
            v, total = v * (1.0 - spikes), total + spikes
        return self.head(total / 5.0)


def test_a_spiking_layer_learns() -> None:
    torch.manual_seed(0)
    x = torch.randn(256, 6)
    y = (x[:, 0] * x[:, 1] > 0).long() + 2 * (x[:, 2] > 0).long()
    treated = treat(Spiking(), "surrogate-gradient", (x, y), F.cross_entropy).model
    optimizer = torch.optim.Adam(treated.parameters(), lr=1e-2)
    start = treated.get_parameter("first.weight").detach().clone()
    for _ in range(150):
        optimizer.zero_grad()
        F.cross_entropy(treated(x), y).backward()
        optimizer.step()
    right = (treated(x).argmax(1) == y).float().mean()
    assert not torch.equal(start, treated.get_parameter("first.weight"))
    assert right > 0.9


def test_a_mask_beside_another_way_is_left_alone() -> None:
    model, given = Threshold(lambda v: v * (v > 0)), batch()
    case = case_of(model, given, F.cross_entropy)
    found = remedy_of("surrogate-gradient").assess(case)
    assert isinstance(found, NotApplicable)
    assert "no parameter starves" in found.reason


def test_infinite_and_missing_numbers_stay_what_they_were() -> None:
    def use(v: Tensor) -> Tensor:
        ends = torch.tensor([float("inf"), float("nan")]).expand(len(v), 2)
        v = torch.cat([v[:, :6], ends], 1)
        return (v > 0).float()

    model, given = Threshold(use), batch()
    treated = treat(model, "surrogate-gradient", given, F.cross_entropy).model
    assert torch.equal(treated(given[0]), model(given[0]))


@pytest.mark.parametrize("make", [Spiking, lambda: Threshold(USES["to"][0])])
def test_it_keeps_the_contract(make: Callable[[], nn.Module]) -> None:
    check_remedy(
        remedy_of("surrogate-gradient"),
        make,
        batch(),
        F.cross_entropy,
        unfit=[(nn.Linear(6, 4), batch())],
    )
