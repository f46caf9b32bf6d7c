"""A function of the user's own is judged by its backward pass, and not by its name."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.prescriptions import Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose import diagnose
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import case_of, treat

ROWS = torch.randn(32, 6, generator=torch.Generator().manual_seed(0))
BATCH = ROWS, torch.randint(0, 3, (32,), generator=torch.Generator().manual_seed(1))


class Sign(torch.autograd.Function):
    """A sign with a straight-through backward pass, within a window."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.sign()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad * (x.abs() <= 1)


class Clamp(torch.autograd.Function):
    """A clamp that passes the gradient on everywhere."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004
        return x.clamp(5.0, 6.0)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # noqa: ARG004
        return grad


class Net(nn.Module):
    """Two layers with a function of the user's own between them."""

    def __init__(self, shift: float = 0.0, *, built_in_first: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.mid, self.head = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.shift, self.built_in_first, self.step = shift, built_in_first, Sign.apply

    def forward(self, x: Tensor) -> Tensor:
        h = self.body(x)
        h = torch.sign(h) if self.built_in_first else torch.tanh(h)
        return self.head(self.step(self.mid(h) + self.shift))


def test_one_that_passes_the_gradient_on_is_no_wall() -> None:
    model = Net()
    case = case_of(model, BATCH, "cross_entropy")
    assert "Sign.apply" in {site.op for site in case.recording.sites}
    assert "UV205" not in {one.code for one in diagnose(case.recording).findings}
    assert isinstance(remedy_of("straight-through").assess(case), NotApplicable)


@pytest.mark.parametrize("function", [Sign, Clamp])
def test_a_built_in_step_beside_it_is_the_only_one_that_is_treated(function: Any) -> None:
    model = Net(built_in_first=True)
    model.step = function.apply
    case = case_of(model, BATCH, "cross_entropy")
    found = remedy_of("straight-through").assess(case)
    assert isinstance(found, Prescription)
    assert found.settings["functions"] == "sign"
    before = _gradients(copy.deepcopy(model))
    treated = treat(model, found, BATCH, "cross_entropy")
    after = _gradients(treated.model)
    assert torch.equal(treated.model(ROWS), model(ROWS))
    assert torch.allclose(before["mid.weight"], after["mid.weight"])
    assert float(before["body.weight"].norm()) == 0.0 < float(after["body.weight"].norm())


def test_one_whose_window_everything_is_out_of_is_not_said_to_have_no_derivative() -> None:
    case = case_of(Net(shift=50.0), BATCH, "cross_entropy")
    codes = {one.code for one in diagnose(case.recording).findings}
    assert "UV101" in codes
    assert "UV205" not in codes
    said = remedy_of("straight-through").assess(case)
    assert isinstance(said, NotApplicable)
    assert "Sign.apply has a backward of its own" in said.reason


def _gradients(model: nn.Module) -> dict[str, Tensor]:
    F.cross_entropy(model(ROWS), BATCH[1]).backward()
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
