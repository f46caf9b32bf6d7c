"""Reattach at a draw: what `.sample()` gives, with the gradient of what it is drawn by."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch import distributions as D
from torch.nn import functional as F

from unvanish import trace
from unvanish.core.prescriptions import Keeps, Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose import diagnose
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import Treated, case_of, treat

X = torch.randn(32, 6, generator=torch.Generator().manual_seed(0))
Family = Callable[[Tensor, Tensor], D.Distribution]


def covered(mean: Tensor, size: Tensor) -> D.Distribution:
    return D.MultivariateNormal(mean, scale_tril=torch.diag_embed(size))


FAMILIES: dict[str, Family] = {
    "normal": D.Normal,
    "independent": lambda m, s: D.Independent(D.Normal(m, s), 1),
    "laplace": D.Laplace,
    "gumbel": D.Gumbel,
    "cauchy": D.Cauchy,
    "log-normal": lambda m, s: D.LogNormal(m, 0.1 * s),
    "tanh-normal": lambda m, s: D.TransformedDistribution(D.Normal(m, s), [D.TanhTransform()]),
    "many normals": covered,
    "uniform": lambda m, s: D.Uniform(m, m + s),
    "gamma": lambda m, s: D.Gamma(1.0 + m.square(), s),
    "beta": lambda m, s: D.Beta(1.0 + m.square(), s),
    "dirichlet": lambda m, s: D.Dirichlet(1.0 + m.square() + s),
    "student": lambda m, s: D.StudentT(5.0 + s, m, s),
    "exponential": lambda m, s: D.Exponential(s + m.square()),
    "half normal": lambda m, s: D.HalfNormal(s + m.square()),
    "relaxed": lambda m, s: D.RelaxedBernoulli(torch.tensor(0.5), logits=m * s),
    "bernoulli of reals": lambda m, s: D.ContinuousBernoulli(logits=m * s),
    "normal around zero": lambda m, s: D.Normal(torch.zeros(4), s + m.square()),
    "normal of one size": lambda m, s: D.Normal(m + s, 0.5),
}


class Coder(nn.Module):
    """An autoencoder whose code is drawn from some family."""

    def __init__(self, family: Family, *, whole: bool = False, times: int = 1) -> None:
        super().__init__()
        self.body, self.mean, self.size = nn.Linear(6, 8), nn.Linear(8, 4), nn.Linear(8, 4)
        self.decode, self.last = nn.Linear(4, 8), nn.Linear(8, 6)
        self.family, self.whole, self.times = family, whole, times

    def forward(self, x: Tensor) -> Any:
        h = torch.tanh(self.body(x))
        with torch.no_grad():
            x.mean()  # a switch of another kind, and a draw that needs no gradient
            x.new_empty(3).normal_()
        mean, size = self.mean(h), F.softplus(self.size(h)) + 0.1
        penalty = (mean.square() + size).sum(-1)
        out = torch.zeros_like(x)
        for _ in range(self.times):
            q = self.family(mean, size)
            z = q.rsample() if self.whole else q.sample()
            out = out + self.last(torch.tanh(self.decode(z)))
        return out, penalty


def loss(output: Any, target: Tensor) -> Tensor:
    return (F.mse_loss(output[0], target, reduction="none").sum(-1) + 0.1 * output[1]).mean()


BATCH = (X, X)


def made(family: Family, **kind: Any) -> Coder:
    torch.manual_seed(0)
    return Coder(family, **kind)


def ran(model: nn.Module, x: Tensor = X) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the output of one seeded pass, and every gradient."""
    model.zero_grad()
    torch.manual_seed(5)
    output = model(x)
    loss(output, x).backward()
    return output[0], {n: p.grad.clone() for n, p in model.named_parameters()}


def given(model: nn.Module) -> Treated:
    found = remedy_of("reattach").assess(case_of(model, BATCH, loss))
    assert isinstance(found, Prescription), found
    assert Keeps.FUNCTION in found.keeps
    return treat(model, found, BATCH, loss)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_values_stay_and_the_gradient_is_that_of_rsample(name: str) -> None:
    sick, whole = made(FAMILIES[name]), made(FAMILIES[name], whole=True)
    before = ran(sick)
    treated = given(sick)
    output, gradients = ran(treated.model)
    assert torch.equal(output, before[0])
    wanted = ran(whole)
    assert torch.equal(output, wanted[0])
    for key, one in gradients.items():
        assert torch.allclose(one, wanted[1][key], rtol=1e-4, atol=1e-6), key
    assert not torch.allclose(gradients["mean.weight"], before[1]["mean.weight"]) or (
        name == "normal around zero"
    )
    treated.undo()
    for key, one in ran(treated.model)[1].items():
        assert torch.equal(one, before[1][key])


def test_the_finding_is_gone_and_the_line_is_told() -> None:
    model = made(D.Normal)
    treated = given(model)
    assert "rsample() in" in treated.receipts[0].notes[0]
    assert "test_redrawing.py:" in treated.receipts[0].notes[0]
    assert [edit.before for edit in treated.receipts[0].edits] == [".sample()"]
    assert treated.prescriptions[0].why.startswith(".sample() at ")
    seen = trace(treated.model, BATCH, loss, batches=1, probe_steps=0)
    assert "UV505" not in {one.code for one in diagnose(seen).findings}


@pytest.mark.parametrize("times", [3, 12])
def test_every_draw_of_a_loop_passes_its_gradient(times: int) -> None:
    sick, whole = made(D.Normal, times=times), made(D.Normal, whole=True, times=times)
    gradients = ran(given(sick).model)[1]
    for key, one in ran(whole)[1].items():
        assert torch.allclose(gradients[key], one, rtol=1e-4, atol=1e-6), key


def test_evaluation_and_copies_draw_as_before() -> None:
    sick = made(D.Normal)
    model = copy.deepcopy(given(sick).model).eval()
    with torch.no_grad():
        torch.manual_seed(5)
        output, _ = model(X[:3])
        torch.manual_seed(5)
        assert torch.equal(output, sick(X[:3])[0])
        assert not output.requires_grad


def test_a_draw_by_hand_passes_its_gradient_too() -> None:
    class Plain(Coder):
        def forward(self, x: Tensor) -> Any:
            h = torch.tanh(self.body(x))
            mean, size = self.mean(h), F.softplus(self.size(h)) + 0.1
            with torch.no_grad():
                z = torch.normal(mean, std=size)
            return self.last(torch.tanh(self.decode(z))), (mean.square() + size).sum(-1)

    torch.manual_seed(0)
    sick = Plain(D.Normal)
    before = ran(sick)[0]
    output, gradients = ran(given(sick).model)
    assert torch.equal(output, before)
    assert not torch.allclose(gradients["mean.weight"], ran(sick)[1]["mean.weight"])


def test_an_encoder_without_a_penalty_is_reached() -> None:
    class Bare(Coder):
        def forward(self, x: Tensor) -> Any:
            return super().forward(x)[0], torch.zeros(())

    torch.manual_seed(0)
    treated = given(Bare(D.Normal))
    assert all(float(one.norm()) > 0.0 for one in ran(treated.model)[1].values())


def test_an_action_is_left_as_it_is_drawn() -> None:
    class Policy(Coder):
        def forward(self, x: Tensor) -> Any:
            h = torch.tanh(self.body(x))
            q = D.Normal(self.mean(h), F.softplus(self.size(h)) + 0.1)
            action = q.sample()
            value = self.last(torch.tanh(self.decode(action)))
            return value, -q.log_prob(action).sum(-1) * value.detach().mean(-1)

    torch.manual_seed(0)
    said = remedy_of("reattach").assess(case_of(Policy(D.Normal), BATCH, loss))
    assert isinstance(said, NotApplicable)
    assert "reaches every" in said.reason
