"""UV205: steps without a derivative, and the many ways round them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish import checkup
from unvanish.core.errors import BatchError
from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.incidents import Cut, Lookup
from unvanish.core.records import Parameter, Recording
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.rules.zero_derivative import ZeroDerivative
from unvanish.testing import recording_of

examine = ZeroDerivative().examine


def rounded(log10_grad: float, **settings: object) -> Recording:
    return recording_of(
        "linear",
        "round",
        "linear",
        profiles={Quantity.LOG10_ACTIVATION_GRAD_RMS: [log10_grad, -2.0, -2.0]},
        parameters=[Parameter(name="layers.0.weight", log10_grad_rms=log10_grad, **settings)],
    )


def only(given: Verdict) -> Finding:
    assert isinstance(given, Found), given
    (finding,) = given.findings
    assert finding.severity is Severity.ERROR
    return finding


def test_a_parameter_behind_a_rounding() -> None:
    finding = only(examine(rounded(-math.inf)))
    assert finding.parameters == ("layers.0.weight",)
    assert finding.causes == (Cause.ACTIVATION_SLOPE,)


@pytest.mark.parametrize(
    "settings", [{"requires_grad": False}, {"in_optimizer": False}], ids=["frozen", "not trained"]
)
def test_parameters_that_nobody_trains(settings: dict[str, object]) -> None:
    assert isinstance(examine(rounded(-math.inf, **settings)), Clear)


def test_another_way_round() -> None:
    assert isinstance(examine(rounded(-3.0)), Clear)


def test_a_step_that_the_loss_does_not_reach() -> None:
    recording = rounded(-math.inf)
    silent = recording_of(
        "linear",
        "round",
        "linear",
        profiles={Quantity.LOG10_ACTIVATION_GRAD_RMS: [-math.inf, -math.inf, -2.0]},
        parameters=recording.parameters,
    )
    assert isinstance(examine(silent), NotApplicable)


def test_not_measured() -> None:
    assert isinstance(examine(recording_of("linear", "round", "linear")), NotMeasured)
    assert isinstance(examine(recording_of("linear", "relu", "linear")), NotApplicable)


def test_a_target_network_that_chooses() -> None:
    """Double Q-learning: the twin's choice is used, its parameters are copied, not trained."""
    cut = Cut("argmax", "target", None, ("target.fc.weight",))
    parameters = (
        Parameter(name="online.fc.weight", shape=(4, 4), log10_grad_rms=-2.0),
        Parameter(name="target.fc.weight", shape=(4, 4), has_grad=False),
    )
    recording = replace(recording_of("linear", parameters=parameters), cuts=(cut,))
    assert isinstance(examine(recording), Clear)
    held = tuple(replace(p, in_optimizer=True) for p in parameters)
    assert isinstance(examine(replace(recording, parameters=held)), Found)


def test_rows_of_a_codebook_that_hand_no_gradient_back() -> None:
    rows = Lookup(op="argmin", path="book", source=None, parameters=("in.weight",), feeds=("w",))
    parameters = (
        Parameter(name="in.weight", log10_grad_rms=-2.0),
        Parameter(name="w", log10_grad_rms=-2.0),
    )
    recording = replace(recording_of("linear", parameters=parameters), lookups=(rows,))
    verdict = examine(recording)
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    assert finding.severity is Severity.WARNING
    assert finding.parameters == ("in.weight",)
    for position, settings in ((0, {"requires_grad": False}), (1, {"in_optimizer": False})):
        changed = list(parameters)
        changed[position] = replace(parameters[position], **settings)
        assert isinstance(examine(replace(recording, parameters=tuple(changed))), Clear)


# --- real networks -------------------------------------------------------------------


class Net(nn.Module):
    def __init__(self, between: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(16, 32), nn.Linear(32, 10)
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.between(self.first(x)))


def verdict(net: nn.Module) -> Verdict:
    torch.manual_seed(0)
    batch = torch.randn(64, 16), torch.randint(0, 10, (64,))
    report = checkup(net, batch, loss="cross_entropy", select=["UV205"])
    return report.diagnosis.verdicts["UV205"]


SICK: dict[str, Callable[[Tensor], Tensor]] = {
    "sign": torch.sign,
    "sgn": torch.sgn,
    "round": lambda h: (10 * h).round(),
    "floor": torch.floor,
    "ceil": torch.ceil,
    "trunc": torch.trunc,
    "div": lambda h: torch.div(h, 0.1, rounding_mode="floor"),
    "bernoulli": lambda h: torch.bernoulli(h.sigmoid()),
    "clamp": lambda h: h.clamp(1e3, 2e3),
    "argmax": lambda h: F.one_hot(h.argmax(1), 32).float(),
    "topk": lambda h: F.one_hot(h.topk(1).indices[:, 0], 32).float(),
    "max": lambda h: F.one_hot(h.max(1).indices, 32).float(),
    "gt": lambda h: (h > 0).float(),
    "long": lambda h: h.long().float(),
    "to": lambda h: h.to(torch.int32).float(),
    "multinomial": lambda h: F.one_hot(torch.multinomial(h.softmax(1), 1)[:, 0], 32).float(),
}


@pytest.mark.parametrize("op", SICK)
def test_nothing_comes_back_through(op: str) -> None:
    finding = only(verdict(Net(SICK[op])))
    assert set(finding.parameters) == {"first.weight", "first.bias"}
    assert finding.sites[0].op == op
    assert finding.sites[0].source is not None


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:  # noqa: ARG004
        return x.sign()

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> Tensor:  # noqa: ARG004
        return grad


HEALTHY: dict[str, Callable[[Tensor], Tensor]] = {
    "straight through": lambda h: h + (h.sign() - h).detach(),
    "function of its own": Straight.apply,
    "signed root": lambda h: h.sign() * h.abs().sqrt(),
    "mask": lambda h: h * (h > 0).float(),
    "clamp": lambda h: h.clamp(-1, 1),
    "gumbel": lambda h: F.gumbel_softmax(h, hard=True),
    "chosen by score": lambda h: h * F.one_hot(h.argmax(1), 32),
    "sorted": lambda h: h.sort(1).values,
    "chosen experts": lambda h: torch.zeros_like(h).scatter(1, h.topk(4).indices, h.topk(4).values),
    "rounded constant": lambda h: h * torch.rand(32).round(),
    "position": lambda h: h + torch.floor(torch.arange(32) / 2),
    "split": lambda h: torch.where(h > h.median().round(), h, 0.1 * h),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_ways_round(name: str) -> None:
    assert not isinstance(verdict(Net(HEALTHY[name])), Found)


@pytest.mark.parametrize("step", [torch.sign, torch.round, lambda w: w.long().float()])
def test_a_weight_that_is_quantised(step: Callable[[Tensor], Tensor]) -> None:
    class Quantised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(16, 32))
            self.head = nn.Linear(32, 10)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(F.relu(x @ step(self.weight)))

    assert only(verdict(Quantised())).parameters == ("weight",)


def test_a_threshold_that_cannot_learn() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = nn.Linear(16, 32), nn.Linear(32, 10)
            self.threshold = nn.Parameter(torch.zeros(32))

        def forward(self, x: Tensor) -> Tensor:
            h = self.first(x)
            return self.head(h * (h > self.threshold).float())

    finding = only(verdict(Gated()))
    assert finding.parameters == ("threshold",)
    assert "a comparison" in finding.message


def test_the_deepest_of_two_steps_is_named_once() -> None:
    finding = only(verdict(Net(lambda h: torch.floor(torch.sigmoid(h.round()) * 4))))
    assert finding.sites[0].op == "floor"


def test_a_step_that_pytorch_cannot_differentiate() -> None:
    with pytest.raises(BatchError, match="heaviside passes no gradient"):
        verdict(Net(lambda h: torch.heaviside(h, torch.zeros(()))))
    with pytest.raises(BatchError, match="floor_divide passes no gradient"):
        verdict(Net(lambda h: h // 0.1))


class Between(nn.Module):
    """Two layers and what stands between them."""

    def __init__(self, step: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.step = nn.Linear(8, 16), nn.Linear(16, 3), step

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.step(self.first(x)))


def between(step: Callable[[Tensor], Tensor]) -> Verdict:
    torch.manual_seed(0)
    batch = (torch.randn(32, 8), torch.randint(0, 3, (32,)))
    return checkup(Between(step), batch, loss=F.cross_entropy, select=["UV205"]).diagnosis.verdicts[
        "UV205"
    ]


@pytest.mark.parametrize(
    "step",
    [
        lambda h: torch.zeros_like(h).scatter(1, h.topk(4, 1).indices, 1.0),
        lambda h: F.one_hot(h.max(1).indices, 16).float(),
        lambda h: h.sort(1).indices.float(),
        lambda h: torch.minimum(h, torch.full_like(h, -50.0)),
        lambda h: torch.maximum(h, torch.full_like(h, 50.0)),
    ],
    ids=["topk", "max", "sort", "minimum", "maximum"],
)
def test_indices_of_a_ranking_and_bounds_that_always_hold(step: Callable[..., Tensor]) -> None:
    assert "first.weight" in only(between(step)).parameters


@pytest.mark.parametrize(
    "step",
    [
        lambda h: torch.zeros_like(h).scatter(1, h.topk(4, 1).indices, h.topk(4, 1).values),
        lambda h: h * (h >= h.topk(4, 1).values[:, -1:]).float(),
        lambda h: torch.minimum(h, torch.zeros_like(h)),
        lambda h: h.sort(1).values,
    ],
    ids=["topk", "mask", "minimum", "sort"],
)
def test_rankings_whose_values_are_used(step: Callable[..., Tensor]) -> None:
    assert not isinstance(between(step), Found)
