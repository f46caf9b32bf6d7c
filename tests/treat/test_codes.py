"""Rows of a codebook: the numbers stay, and what chose them gets the gradient behind them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from tests.observe.test_codes import (
    SICK,
    Coded,
    Coder,
    X,
    drawn_together,
    loss,
    part_by_part,
    plain,
    straight_through,
    what_is_left_over,
)
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unvanish.core.verdicts import NotApplicable
from unvanish.testing import check_remedy
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import case_of, treat

REMEDY = "straight-through-codes"


def gradients(model: nn.Module) -> dict[str, Tensor]:
    model.zero_grad()
    loss(model(X), X).backward()
    named = model.named_parameters()
    return {name: parameter.grad for name, parameter in named if parameter.grad is not None}


@pytest.mark.parametrize("forward", SICK)
def test_values_stay_and_the_encoder_hears_the_decoder(forward: Coded) -> None:
    torch.manual_seed(0)
    model = Coder(forward)
    before, output = gradients(model), model(X)
    treatment = treat(model, REMEDY, (X, X), loss)
    for one, other in zip(output, treatment.model(X), strict=True):
        assert torch.equal(one, other)
    after = gradients(treatment.model)
    assert after.keys() == before.keys()
    for name in ("body.weight", "code.bias"):
        assert not torch.allclose(before[name], after[name], rtol=0.01)
    for name in before.keys() - {"body.weight", "body.bias", "code.weight", "code.bias"}:
        torch.testing.assert_close(after[name], before[name])


def handing_on(own: Coder, x: Tensor) -> Any:
    z = own.encoded(x)
    rows = own.book(own.nearest(z))
    return own.decoded(rows + (z - z.detach())), drawn_together(z, rows)


@pytest.mark.parametrize("forward", [plain, part_by_part])
def test_the_gradient_is_that_of_the_straight_through_estimator(forward: Coded) -> None:
    torch.manual_seed(0)
    model = Coder(forward)
    reference = copy.deepcopy(model)
    reference.own = handing_on
    found = gradients(treat(model, REMEDY, (X, X), loss).model)
    if forward is part_by_part:  # its terms are sums over the parts, and not a mean
        reference.own = lambda own, x: (lambda out: (out[0], 2 * out[1]))(handing_on(own, x))
    for name, expected in gradients(reference).items():
        torch.testing.assert_close(found[name], expected)


def test_what_rows_leave_over_is_handed_on_once() -> None:
    def handing_on_once(own: Coder, x: Tensor) -> Any:
        rows: list[Tensor] = []
        left = z = own.encoded(x)
        pulled = torch.zeros(())
        for _ in range(3):
            rows.append(own.book(own.nearest(left)))
            pulled = pulled + drawn_together(left, rows[-1])
            left = left - rows[-1]
        return own.decoded(sum(rows, z - z.detach())), pulled

    torch.manual_seed(0)
    model = Coder(what_is_left_over)
    found = gradients(treat(model, REMEDY, (X, X), loss).model)
    model.own = handing_on_once
    for name, expected in gradients(model).items():
        torch.testing.assert_close(found[name], expected)


class Quantised(nn.Module):
    """The quantiser is a module, and the loss is made of what comes out of it."""

    def __init__(self, *, checkpoints: bool = False) -> None:
        super().__init__()
        self.inner, self.checkpoints = Coder(plain), checkpoints

    def forward(self, x: Tensor) -> Any:
        return checkpoint(self.inner, x, use_reentrant=False) if self.checkpoints else self.inner(x)


def test_a_checkpoint_around_the_choice_is_named() -> None:
    said = remedy_of(REMEDY).assess(case_of(Quantised(checkpoints=True), (X, X), loss))
    assert isinstance(said, NotApplicable)
    assert "checkpointed part" in said.reason


def test_undo_is_exact_and_nothing_is_remembered() -> None:
    torch.manual_seed(0)
    model = Quantised()
    before = gradients(model)
    treatment = treat(model, REMEDY, (X, X), loss, in_place=True)
    twin = copy.deepcopy(treatment.model)
    assert gradients(twin).keys() == before.keys()
    with torch.no_grad():
        assert not treatment.model(X)[0].requires_grad
    treatment.undo()
    after = gradients(model)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_starving_encoder_gets_a_gradient() -> None:
    def alone(own: Coder, x: Tensor) -> Any:
        return own.decoded(own.book(own.nearest(own.encoded(x)))), torch.zeros(())

    torch.manual_seed(0)
    model = Coder(alone)
    treated = treat(model, REMEDY, (X, X), loss).model
    assert "body.weight" not in gradients(model)
    assert gradients(treated)["body.weight"].any()


def test_the_contract() -> None:
    check_remedy(
        remedy_of(REMEDY),
        lambda: Coder(plain),
        (X, X),
        loss,
        unfit=[(Coder(straight_through), (X, X))],
    )
