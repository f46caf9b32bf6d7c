"""A term of a loss is raised, and everything else about the loss stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.curing.test_cured import Coding, summed_prior
from torch import Tensor, nn

from unvanish import trace, treat
from unvanish.core.loss_terms import most_drowned
from unvanish.core.prescriptions import Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.balancing import BalancedLoss, OneTerm
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import case_of

X = torch.randn(64, 12, generator=torch.Generator().manual_seed(0))


class Coded(nn.Module):
    """An autoencoder that gives out its code as well."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(12, 4), nn.Linear(4, 12)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        code = self.encoder(x)
        return self.decoder(code), code


def added(output: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
    return F.mse_loss(output[0], target) + output[1].square().sum()


def in_place(output: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
    loss = F.mse_loss(output[0], target)
    loss += output[1].square().sum()
    return loss


def weighted(output: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
    prior = output[1].square().sum(1)
    return (0.5 * ((output[0] - target) ** 2).mean(1) + prior).sum() / 2


class Criterion(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fit = nn.MSELoss()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, output: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
        self.calls += 1
        return sum([self.fit(output[0], target), output[1].square().sum()])


def fit_of(loss: Any, output: tuple[Tensor, Tensor]) -> Tensor:
    error = F.mse_loss(output[0], X)
    return 16.0 * error if loss is weighted else error


@pytest.mark.parametrize("loss", [added, in_place, weighted, Criterion()])
def test_the_term_counts_as_often_as_the_factor_says(loss: Callable[..., Tensor]) -> None:
    torch.manual_seed(0)
    model = Coded()
    treated = treat(model, "loss-balancing", (X, X), loss)
    (done,) = treated.prescriptions
    factor = float(done.settings["factor"])
    assert isinstance(treated.loss, BalancedLoss)
    assert factor > 10.0
    output = model(X)
    expected = loss(output, X) + (factor - 1.0) * fit_of(loss, output)
    assert torch.allclose(treated.loss(output, X), expected)
    ours = torch.autograd.grad(treated.loss(model(X), X), list(model.parameters()))
    theirs = torch.autograd.grad(
        loss(output := model(X), X) + (factor - 1.0) * fit_of(loss, output),
        list(model.parameters()),
    )
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)


def test_the_gradients_of_the_terms_are_then_alike() -> None:
    torch.manual_seed(0)
    treated = treat(Coded(), "loss-balancing", (X, X), added)
    after = trace(treated.model, (X, X), treated.loss, batches=1, probe_steps=0)
    assert most_drowned(after.terms) is None
    loud = after.terms[1].log10_grads[0] - after.terms[0].log10_grads[1]
    assert loud == pytest.approx(-0.5, abs=0.1)


def test_a_loss_can_be_asked_where_no_graph_is_kept() -> None:
    torch.manual_seed(0)
    model = Coded()
    with torch.no_grad():
        output = model(X)
        value = BalancedLoss(added, 0, 2, 3.0)(output, X)
        term = OneTerm(added, 0, 2, "mse_loss", "")(output, X)
    assert not value.requires_grad
    assert not term.requires_grad
    assert float(term) == pytest.approx(float(F.mse_loss(output[0], X)))
    assert float(value) == pytest.approx(float(added(output, X) + 2.0 * term))


def test_asking_for_a_term_leaves_a_loss_that_counts_as_it_is() -> None:
    criterion = Criterion()
    OneTerm(criterion, 0, 2, "mse_loss", "")(Coded()(X), X)
    assert float(criterion.calls) == 0.0


class OwnLoss(Coded):
    def forward(self, x: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        answer, code = super().forward(x)
        return {"loss": added((answer, code), x), "logits": answer}


@pytest.mark.parametrize(
    ("model", "loss", "why"),
    [
        (Coded, lambda out, y: F.mse_loss(out[0], y), "one term"),
        (Coded, lambda out, y: F.mse_loss(out[0], y) + 1e-3 * out[1].square().mean(), "none of"),
        (OwnLoss, None, "computes its own loss"),
    ],
)
def test_what_it_does_not_fit(model: Any, loss: Any, why: str) -> None:
    torch.manual_seed(0)
    said = remedy_of("loss-balancing").assess(case_of(model(), (X, X), loss))
    assert isinstance(said, NotApplicable)
    assert why in said.reason


def test_a_forced_look_says_by_how_much() -> None:
    torch.manual_seed(0)
    said = remedy_of("loss-balancing").assess(case_of(Coded(), (X, X), added))
    assert isinstance(said, Prescription)
    assert "times smaller than another term's" in said.why
    assert said.settings["terms"] == 2


@pytest.mark.slow
def test_a_lead_teaches_what_equal_gradients_do_not() -> None:
    torch.manual_seed(0)
    x = torch.tanh(torch.randn(640, 4) @ torch.randn(4, 10))
    held = x[576:]
    errors: dict[float, list[float]] = {}
    for share in (10.0**-0.5, 1.0):  # of the factor: equal gradients, and ours
        for seed in range(5):
            torch.manual_seed(seed)
            model = Coding()
            treated = treat(model, "loss-balancing", (x[:64], x[:64]), summed_prior, seed=seed)
            factor = share * float(treated.prescriptions[0].settings["factor"])
            loss = BalancedLoss(summed_prior, 0, 2, factor)
            optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
            for step in range(600):
                rows = x[64 * (step % 9) : 64 * (step % 9) + 64]
                optimizer.zero_grad()
                loss(model(rows), rows).backward()
                optimizer.step()
            error = F.mse_loss(model.eval()(held)[0], held)
            errors.setdefault(share, []).append(float(error.detach()))
    equal, ours = errors.values()
    assert max(ours) < 0.25
    assert min(equal) > 0.3
