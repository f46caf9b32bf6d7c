"""Floors under logarithms, roots and divisions, and numbers that are positive by themselves."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.prescriptions import Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.registry import remedy_of
from unvanish.treat.singularities import SINGULAR, Floor, Singularity, floor_of
from unvanish.treat.treatment import Treated, case_of, treat

ROWS = torch.randn(32, 6, generator=torch.Generator().manual_seed(0))
LABELS = torch.randint(0, 3, (32,), generator=torch.Generator().manual_seed(1))


class Net(nn.Module):
    """A network whose hidden signal passes a function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(6, 8), nn.Linear(8, 3)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.function(self.first(x)))


def net(function: Callable[[Tensor], Tensor]) -> nn.Module:
    torch.manual_seed(0)
    return Net(function)


def cured(model: nn.Module, loss: Any = None, name: str = "guard-singularity") -> Treated:
    return treat(model, name, (ROWS, LABELS), loss)


def gradients(treated: Treated, loss: Any = F.cross_entropy) -> list[Tensor]:
    loss(treated.model(ROWS), LABELS).backward()
    return [p.grad for p in treated.model.parameters() if p.grad is not None]


def distances(output: Tensor, target: Tensor) -> Tensor:
    return (output[:, None] - output[None, :]).square().sum(2).sqrt().mean() + 0.0 * target.sum()


def half(h: Tensor) -> Tensor:
    """The positive half, with a slope that multiplies: what a ReLU absorbs, this passes on."""
    return h * (h > 0)


SICK: dict[str, Callable[[Tensor], Tensor]] = {
    "log": lambda h: torch.log(half(h)),
    "sqrt": lambda h: half(h).sqrt(),
    "root by power": lambda h: half(h) ** 0.5,
    "inverse by power": lambda h: half(h) ** -1,
    "reciprocal": lambda h: 1.0 / half(h),
    "divided": lambda h: h / half(h),
    "divided in place": lambda h: (2.0 * h).div_(half(h)),
    "where": lambda h: torch.where(h > 0, half(h).sqrt(), h),
    "share of nothing": lambda h: half(h - 9.0) / half(h - 9.0).sum(1, keepdim=True),
    "acos": lambda h: torch.acos(h / h.abs().detach()),
    "log1p": lambda h: torch.log1p(-torch.sigmoid(300.0 * h)),
    "in a loop": lambda h: sum(torch.sqrt(half(h - k)) for k in range(3)),
}


@pytest.mark.parametrize("function", SICK.values(), ids=SICK)
def test_a_guarded_network_has_finite_gradients_and_is_put_back(
    function: Callable[[Tensor], Tensor],
) -> None:
    model = net(function)
    F.cross_entropy(model(ROWS), LABELS).backward()
    assert not all(bool(p.grad.isfinite().all()) for p in model.parameters())
    treated = cured(model)
    assert all(bool(grad.isfinite().all()) for grad in gradients(treated))
    assert treated.model.state_dict().keys() == model.state_dict().keys()
    treated.undo()
    assert torch.equal(treated.model(ROWS).nan_to_num(), model(ROWS).nan_to_num())


@pytest.mark.parametrize("signed", [False, True])
def test_what_is_beyond_the_floor_passes_bit_for_bit(signed: bool) -> None:
    given = torch.tensor([-2.0, -1e-9, -0.0, 0.0, 1e-9, 0.3, math.nan], requires_grad=True)
    passed = Floor(1e-6, low=None if signed else 0.0)(given)
    expected = [-2.0, -1e-6, -1e-6, 1e-6, 1e-6, 0.3] if signed else [1e-6] * 5 + [0.3]
    assert passed[:6].tolist() == torch.tensor(expected).tolist()
    assert bool(passed[6].isnan())
    passed[5].log().backward()
    assert given.grad is not None
    assert float(given.grad[5]) == float(1.0 / given.detach()[5])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_slope_at_the_floor_is_a_number_of_the_format(dtype: torch.dtype) -> None:
    for size in (1e-3, 1.0, 30.0):
        values = torch.linspace(0.0, size, 50).to(dtype)
        for where in {*SINGULAR.values()}:
            floor = torch.tensor(floor_of(values, where), dtype=dtype)
            assert float(floor) > 0.0
            assert float(floor) ** -where.order < torch.finfo(dtype).max


def test_the_floor_is_the_rounding_of_the_size() -> None:
    values = torch.full((10,), 3.0)
    assert floor_of(values, Singularity()) == pytest.approx(3.0 * 2.0**-23, rel=0.2)


def test_a_loss_is_guarded_where_its_calls_are() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 3))
    treated = cured(model, distances)
    assert treated.loss is not distances
    assert all(bool(g.isfinite().all()) for g in gradients(treated, treated.loss))
    with torch.no_grad():
        losses = [float(loss(model(ROWS), LABELS)) for loss in (treated.loss, distances)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert [edit.after.partition(" of")[0] for edit in treated.receipts[0].edits] == ["sqrt"]


class OfModule(nn.Module):
    """A loss with something that it keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        shares = torch.softmax(300.0 * self.weight * output, 1)
        return -(F.one_hot(target, 3) * shares.log()).sum(1).mean()


def test_a_loss_that_is_a_module_keeps_what_it_holds() -> None:
    torch.manual_seed(0)
    loss = OfModule()
    treated = cured(nn.Sequential(nn.Linear(6, 3)), loss)
    assert isinstance(treated.loss, nn.Module)
    assert [id(p) for p in treated.loss.parameters()] == [id(loss.weight)]
    assert bool(treated.loss(treated.model(ROWS), LABELS).isfinite())


@pytest.mark.parametrize("function", [torch.tanh, lambda h: torch.relu(h).mul(1.0).sqrt_()])
def test_what_meets_no_zero_or_is_written_into_is_refused(
    function: Callable[[Tensor], Tensor],
) -> None:
    said = remedy_of("guard-singularity").assess(case_of(net(function), (ROWS, LABELS), None))
    assert isinstance(said, NotApplicable)
    assert "given a zero" in said.reason


class Shares(nn.Module):
    """Probabilities of evidence that a ReLU makes."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.evidence = nn.Linear(6, 16), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        evidence = torch.relu(self.evidence(torch.relu(self.hidden(x))))
        return evidence / evidence.sum(1, keepdim=True)


def likelihood(shares: Tensor, target: Tensor) -> Tensor:
    return -shares.log().gather(1, target[:, None]).mean()


def test_evidence_by_softplus_has_a_gradient_in_every_sample() -> None:
    torch.manual_seed(0)
    treated = cured(Shares(), likelihood, "positive-output")
    x = ROWS.clone().requires_grad_()
    likelihood(treated.model(x), LABELS).backward()
    assert x.grad is not None
    assert bool((x.grad.abs().sum(1) > 0).all())
    assert bool((treated.model(ROWS) > 0).all())
    assert len(treated.receipts[0].edits) == 1, "the hidden ReLU stays"


def test_an_output_that_a_relu_has_shut_opens() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3), nn.ReLU())
    nn.init.constant_(model[2].bias, -5.0)
    wanted = LABELS.float()[:, None].expand(-1, 3)
    treated = treat(model, "positive-output", (ROWS, wanted), "mse_loss")
    F.mse_loss(treated.model(ROWS), wanted).backward()
    assert all(bool(p.grad.count_nonzero()) for p in treated.model.parameters())
    assert [edit.place for edit in treated.receipts[0].edits] == ["3"]


def test_a_relu_whose_zeros_reach_no_logarithm_stays() -> None:
    remedy = remedy_of("positive-output")
    for function in (torch.relu, lambda h: torch.log(torch.sigmoid(h))):
        assert isinstance(
            remedy.assess(case_of(net(function), (ROWS, LABELS), None)), NotApplicable
        )
    ajar = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3), nn.ReLU())
    nn.init.constant_(ajar[2].bias, 1.0)
    wanted = LABELS.float()[:, None].expand(-1, 3)
    assert isinstance(remedy.assess(case_of(ajar, (ROWS, wanted), "mse_loss")), NotApplicable)
    said = remedy.assess(case_of(net(lambda h: torch.relu(h).log()), (ROWS, LABELS), None))
    assert isinstance(said, Prescription)
    assert "the zeros of a relu" in said.why
