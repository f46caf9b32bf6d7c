"""Reattach at a derivative: `torch.autograd.grad` as if `create_graph=True` had been written."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from unvanish import trace
from unvanish.core.prescriptions import Keeps, Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose import diagnose
from unvanish.testing import check_remedy
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import Treated, case_of, treat

T = 6.0 * torch.rand(32, 1, generator=torch.Generator().manual_seed(0))
BATCH = (T, torch.zeros(32, 1))
PARTS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "gelu": nn.GELU, "relu": nn.ReLU}


class Cooling(nn.Module):
    """An equation of the first order, whose residual is the answer."""

    def __init__(self, *, graph: bool = False, part: str = "tanh", **options: Any) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(1, 8), PARTS[part](), nn.Linear(8, 8), PARTS[part](), nn.Linear(8, 1)
        )
        self.options = {"retain_graph": True, **options}
        if graph:
            self.options["create_graph"] = True

    def u(self, t: Tensor) -> Tensor:
        return self.net(t)

    def forward(self, t: Tensor) -> Tensor:
        with torch.enable_grad():
            t = t.clone().requires_grad_(True)
            assert t.grad is None  # a property of the same name
            u = self.u(t)
            (du,) = torch.autograd.grad(u, t, torch.ones_like(u), **self.options)
            return du + 0.8 * (u - torch.sin(t))


class Moving(Cooling):
    """An equation of the second order, and a step along a weight beside it."""

    def forward(self, t: Tensor) -> Tensor:
        t = t.clone().requires_grad_(True)
        u = self.u(t)
        (du,) = torch.autograd.grad(u.sum(), t, create_graph=True)
        (ddu,) = torch.autograd.grad(du.sum(), t, **self.options)
        weight = self.net[0].weight
        (step,) = torch.autograd.grad(u.square().mean(), weight, retain_graph=True)
        return ddu + u + (t @ (weight - 0.1 * step).T).mean(1, keepdim=True)


def made(kind: type[Cooling] = Cooling, **options: Any) -> Cooling:
    torch.manual_seed(0)
    return kind(**options)


def ran(model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the output of one pass, and every gradient."""
    model.zero_grad()
    output = model(T)
    output.square().mean().backward()
    return output.detach(), {
        n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None
    }


def given(model: nn.Module) -> Treated:
    found = remedy_of("reattach").assess(case_of(model, BATCH, "mse_loss"))
    assert isinstance(found, Prescription), found
    assert Keeps.FUNCTION in found.keeps
    return treat(model, found, BATCH, "mse_loss")


@pytest.mark.parametrize("kind", [Cooling, Moving])
@pytest.mark.parametrize("part", PARTS)
def test_the_values_stay_and_the_gradient_is_that_of_the_graph(
    kind: type[Cooling], part: str
) -> None:
    sick, whole = made(kind, part=part), made(kind, part=part, graph=True)
    before = ran(sick)
    if kind is Moving and part == "relu":  # its second derivative is zero
        said = remedy_of("reattach").assess(case_of(sick, BATCH, "mse_loss"))
        assert isinstance(said, NotApplicable)
        return
    treated = given(sick)
    output, gradients = ran(treated.model)
    assert torch.equal(output, before[0])
    wanted = ran(whole)
    assert gradients.keys() == wanted[1].keys()
    for key, one in wanted[1].items():
        assert torch.equal(gradients[key], one), key
    assert not torch.equal(gradients["net.2.weight"], before[1]["net.2.weight"])
    treated.undo()
    assert ran(sick)[1].keys() == before[1].keys()
    for key, one in ran(treated.model)[1].items():
        assert torch.equal(one, before[1][key])


def test_the_finding_is_gone_and_the_line_is_told() -> None:
    treated = given(made())
    note = treated.receipts[0].notes[0]
    assert note.startswith("to keep it, write create_graph=True in ")
    assert "test_differentiating.py:" in note
    assert [edit.before for edit in treated.receipts[0].edits] == ["torch.autograd.grad()"]
    seen = trace(treated.model, BATCH, "mse_loss", batches=1, probe_steps=0)
    assert "UV505" not in {one.code for one in diagnose(seen).findings}


def test_evaluation_and_copies_answer_as_before() -> None:
    sick = made()
    model = copy.deepcopy(given(sick).model).eval()
    with torch.no_grad():
        assert torch.equal(model(T[:3]), made()(T[:3]))

    class Force(Cooling):
        def forward(self, t: Tensor) -> Any:
            t = t.clone().requires_grad_(True)
            energy = self.u(t)
            (force,) = torch.autograd.grad(energy.sum(), t, **self.options)
            return force if not self.training else force + energy

    treated = given(made(Force))
    assert treated.model(T).requires_grad
    assert not treated.model.eval()(T).requires_grad


def test_a_graph_that_is_thrown_away_is_told_and_left() -> None:
    class Twice(Cooling):
        def forward(self, t: Tensor) -> Tensor:
            t = t.clone().requires_grad_(True)
            (du,) = torch.autograd.grad(self.u(t).sum(), t, **self.options)
            return du + self.u(t)

    said = remedy_of("reattach").assess(case_of(made(Twice, retain_graph=False), BATCH, "mse_loss"))
    assert isinstance(said, NotApplicable)
    assert "create_graph=True" in said.reason


def test_a_penalty_in_the_loss_is_told_with_its_line() -> None:
    model = made()

    def penalised(output: Tensor, target: Tensor) -> Tensor:
        t = T.clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(model.u(t).sum(), t)
        return (output - target).square().mean() + slope.square().mean()

    said = remedy_of("reattach").assess(case_of(nn.Sequential(model.net), BATCH, penalised))
    assert isinstance(said, NotApplicable)
    assert "create_graph=True" in said.reason
    assert "test_differentiating.py:" in said.reason


@pytest.mark.parametrize("kind", [Cooling, Moving])
def test_the_contract_is_kept(kind: type[Cooling]) -> None:
    check_remedy(remedy_of("reattach"), lambda: made(kind), BATCH, "mse_loss")


def test_a_derivative_in_a_loop_and_in_a_method_of_its_own() -> None:
    class System(Cooling):
        def slope(self, t: Tensor) -> Tensor:
            (du,) = torch.autograd.grad(self.u(t).sum(), t, **self.options)
            return du

        def forward(self, t: Tensor) -> Tensor:
            t = t.clone().requires_grad_(True)
            return sum((self.slope(k * t) for k in (1.0, 2.0, 3.0)), self.u(t))

    wanted = ran(made(System, graph=True))[1]
    treated = given(made(System))
    for key, one in ran(treated.model)[1].items():
        assert torch.equal(one, wanted[key]), key
    t = T.clone().requires_grad_(True)
    assert treated.model.slope(t).requires_grad
    assert not treated.model.eval().slope(t).requires_grad
