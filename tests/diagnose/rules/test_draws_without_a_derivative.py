"""UV205 at draws whose derivative is zero, beside a loss that reaches what they are drawn by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish import checkup
from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.verdicts import Found, Verdict

X = torch.randn(32, 6, generator=torch.Generator().manual_seed(0))
Draw = Callable[[Tensor, Tensor], Tensor]


def loss(output: Any, target: Tensor) -> Tensor:
    return F.mse_loss(output[0], target) + 0.1 * output[1].mean()


class Coder(nn.Module):
    """An encoder, a draw by what it makes, a decoder, and a penalty on the code."""

    def __init__(self, draw: Draw) -> None:
        super().__init__()
        self.body, self.mean, self.size = nn.Linear(6, 8), nn.Linear(8, 4), nn.Linear(8, 4)
        self.decode, self.last = nn.Linear(4, 8), nn.Linear(8, 6)
        self.draw = draw

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.tanh(self.body(x))
        return self.mean(h), F.softplus(self.size(h)) + 0.1

    def made(self, z: Tensor) -> Tensor:
        return self.last(torch.tanh(self.decode(z)))

    def forward(self, x: Tensor) -> Any:
        mean, size = self.encode(x)
        return self.made(self.draw(mean, size)), (mean.square() + size).sum(-1)


def verdict(model: nn.Module, judged: Callable[..., Tensor] = loss, **options: Any) -> Verdict:
    report = checkup(model, (X, X), loss=judged, select=["UV205"], **options)
    return report.diagnosis.verdicts["UV205"]


def warned(given: Verdict) -> Finding:
    assert isinstance(given, Found), given
    (finding,) = given.findings
    assert finding.severity is Severity.WARNING
    return finding


ENCODER = {f"{layer}.{leaf}" for layer in ("body", "mean", "size") for leaf in ("weight", "bias")}

SICK: dict[str, tuple[Draw, set[str], str]] = {
    "normal": (torch.normal, ENCODER, "torch.randn_like(std)"),
    "by name": (lambda m, s: torch.normal(mean=m, std=s), ENCODER, "torch.randn_like(std)"),
    "of one size": (
        lambda m, _: torch.normal(m, 0.3),
        {n for n in ENCODER if "size" not in n},
        "torch.randn_like(std)",
    ),
    "around zero": (
        lambda _, s: torch.normal(0.0, s),
        {n for n in ENCODER if "mean" not in n},
        "torch.randn_like(std)",
    ),
    "bernoulli": (
        lambda m, _: torch.bernoulli(torch.sigmoid(m)),
        {n for n in ENCODER if "size" not in n},
        "(sample - p).detach()",
    ),
    "poisson": (
        lambda _, s: torch.poisson(s),
        {n for n in ENCODER if "mean" not in n},
        "score function",
    ),
    "beside its mean's data": (
        lambda m, s: torch.normal(m, s) + m.detach(),
        ENCODER,
        "torch.randn_like(std)",
    ),
}


@pytest.mark.parametrize("name", SICK)
def test_a_decoder_that_the_encoder_does_not_hear(name: str) -> None:
    draw, deaf, help = SICK[name]
    finding = warned(verdict(Coder(draw)))
    assert set(finding.parameters) == deaf
    assert "nothing from what decode.weight makes of the draw" in finding.message
    assert help in " ".join(finding.help)
    assert finding.causes == (Cause.DETACHED_GRAPH,)
    assert finding.sites[0].source is not None


def test_draws_of_a_loop_are_one_finding() -> None:
    class Steps(Coder):
        def forward(self, x: Tensor) -> Any:
            mean, size = self.encode(x)
            z = sum(torch.normal(mean, size) for _ in range(3))
            return self.made(z), (mean.square() + size).sum(-1)

    assert len(warned(verdict(Steps(torch.normal))).sites) == 3


def test_what_a_way_past_the_draw_teaches_is_not_named() -> None:
    class Skipping(Coder):
        def forward(self, x: Tensor) -> Any:
            h = torch.tanh(self.body(x))
            mean, size = self.mean(h), F.softplus(self.size(h)) + 0.1
            made = self.last(torch.tanh(self.decode(torch.normal(mean, size))) + h)
            return made, (mean.square() + size).sum(-1)

    deaf = set(warned(verdict(Skipping(torch.normal))).parameters)
    assert deaf == {name for name in ENCODER if "body" not in name}


HEALTHY: dict[str, Draw] = {
    "reparametrised": lambda m, s: m + s * torch.randn_like(s),
    "noise of unit size": lambda m, s: m + s * torch.normal(torch.zeros_like(m), 1.0),
    "straight through": lambda m, _: (p := torch.sigmoid(m)) + (torch.bernoulli(p) - p).detach(),
    "straight through the other way": lambda m, _: (
        torch.bernoulli(p := torch.sigmoid(m)) + p - p.detach()
    ),
    "dropout by hand": lambda m, s: m * s * torch.bernoulli(torch.full_like(m, 0.9)) / 0.9,
    "a stochastic gate": lambda m, _: m * torch.bernoulli(torch.sigmoid(m)),
    "beside its mean": lambda m, _: torch.normal(m, 0.3) + m,
    "noise in the shape of a signal": lambda m, s: m + s * m.clone().normal_(),
    "a target of no gradient": lambda m, s: m + 0.0 * torch.normal(m, s).detach(),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_ways_round(name: str) -> None:
    assert not isinstance(verdict(Coder(HEALTHY[name])), Found)


def test_noise_on_data_is_none() -> None:
    class Noisy(Coder):
        def forward(self, x: Tensor) -> Any:
            return super().forward(torch.normal(x, 0.1))

    assert not isinstance(verdict(Noisy(lambda m, s: m * s)), Found)


@pytest.mark.parametrize("detached", [False, True])
def test_an_action_whose_likelihood_is_computed(detached: bool) -> None:
    class Policy(Coder):
        def forward(self, x: Tensor) -> Any:
            mean, size = self.encode(x)
            action = torch.normal(mean, size)
            surprise = ((action.detach() if detached else action) - mean) / size
            likelihood = -0.5 * surprise.square() - torch.log(size)
            value = self.made(action if not detached else action.detach())
            return value, -likelihood.sum(-1) * value.detach().mean(-1)

    assert not isinstance(verdict(Policy(torch.normal)), Found)


def test_an_action_that_only_the_loss_sees() -> None:
    class Policy(Coder):
        def forward(self, x: Tensor) -> Any:
            mean, size = self.encode(x)
            action = torch.normal(mean, size)
            return x + 0.0 * self.made(mean), ((action - mean) / size).square().sum(-1)

    assert not isinstance(verdict(Policy(torch.normal)), Found)


def test_noise_of_exploration_where_the_actor_learns_by_its_mean() -> None:
    class Critic(Coder):
        def forward(self, x: Tensor) -> Any:
            mean, _ = self.encode(x)
            return self.made(torch.normal(mean, 0.1)), self.made(mean).square().sum(-1)

    model = Critic(torch.normal)
    for one in model.size.parameters():
        one.requires_grad_(False)
    assert not isinstance(verdict(model), Found)


def test_the_samples_of_a_boltzmann_machine() -> None:
    class Boltzmann(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(0.1 * torch.randn(8, 6))
            self.hidden, self.visible = nn.Parameter(torch.zeros(8)), nn.Parameter(torch.zeros(6))

        def energy(self, v: Tensor) -> Tensor:
            return -v @ self.visible - F.softplus(F.linear(v, self.weight, self.hidden)).sum(-1)

        def forward(self, x: Tensor) -> Any:
            v = first = (x > 0).float()
            for _ in range(2):
                h = torch.bernoulli(torch.sigmoid(F.linear(v, self.weight, self.hidden)))
                v = torch.bernoulli(torch.sigmoid(F.linear(h, self.weight.t(), self.visible)))
            return self.energy(first) - self.energy(v)

    assert not isinstance(verdict(Boltzmann(), lambda out, _: out.mean()), Found)


def test_a_series_that_is_fed_its_own_draws() -> None:
    class Fed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.head = nn.GRUCell(6, 8), nn.Linear(8, 6)

        def forward(self, x: Tensor) -> Any:
            state, given, out = x.new_zeros(len(x), 8), x, []
            for _ in range(4):
                state = self.cell(given, state)
                out.append(self.head(state))
                given = torch.bernoulli(torch.sigmoid(out[-1]))
            return torch.stack(out).mean(0), state.square()

    assert not isinstance(verdict(Fed()), Found)


def test_what_the_optimiser_does_not_hold_is_not_missed() -> None:
    model = Coder(torch.normal)
    held = [*model.decode.parameters(), *model.last.parameters()]
    assert not isinstance(verdict(model, optimizer=torch.optim.Adam(held)), Found)


def test_noise_between_layers_that_nothing_else_teaches_is_an_error() -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 6)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.normal(torch.tanh(self.first(x)), 0.1))

    given = verdict(Noisy(), F.mse_loss)
    assert isinstance(given, Found)
    (finding,) = given.findings
    assert finding.severity is Severity.ERROR
    assert set(finding.parameters) == {"first.weight", "first.bias"}
    assert "torch.randn_like(std)" in finding.help[0]


def test_a_gradient_that_vanishes_follows_from_the_draw() -> None:
    torch.manual_seed(0)
    report = checkup(Coder(torch.normal), (X, X), loss=loss)
    roots = {one.code: one.root for one in report.findings}
    assert roots["UV205"] == ""
    assert roots.get("UV101", "UV205") == "UV205"
