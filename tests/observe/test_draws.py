"""Draws without a gradient: which feed layers, and which are actions, targets or constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch import distributions as D
from torch.nn import functional as F

import unvanish
from unvanish.core.findings import Severity
from unvanish.diagnose import diagnose
from unvanish.diagnose.cuts import draws_of

Drawn = Callable[["Coder", Tensor], Any]


class Coder(nn.Module):
    """An encoder with two heads, a decoder, and a forward of one's own."""

    def __init__(self, forward: Drawn) -> None:
        super().__init__()
        self.body, self.mean, self.size = nn.Linear(6, 8), nn.Linear(8, 4), nn.Linear(8, 4)
        self.decode, self.last = nn.Linear(4, 8), nn.Linear(8, 6)
        self.own = forward

    def posterior(self, x: Tensor) -> D.Normal:
        h = torch.tanh(self.body(x))
        return D.Normal(self.mean(h), F.softplus(self.size(h)))

    def decoded(self, z: Tensor) -> Tensor:
        return self.last(torch.tanh(self.decode(z)))

    def forward(self, x: Tensor) -> Any:
        return self.own(self, x)


def divergence(q: D.Distribution) -> Tensor:
    return D.kl_divergence(q, D.Normal(torch.zeros(4), torch.ones(4))).sum(-1)


def loss(output: Any, target: Tensor) -> Tensor:
    return (F.mse_loss(output[0], target, reduction="none").sum(-1) + output[1]).mean()


X = torch.randn(16, 6, generator=torch.Generator().manual_seed(0))


def seen(forward: Drawn, optimizer: Any = None) -> Any:
    torch.manual_seed(0)
    model = Coder(forward)
    given = optimizer(model) if optimizer else None
    return unvanish.trace(model, (X, X), loss, optimizer=given, batches=1, probe_steps=0)


def findings(recording: Any) -> list[Any]:
    return [one for one in diagnose(recording).findings if one.code == "UV505"]


# ---------------------------------------------------------------------------- sick


def sampled(own: Coder, x: Tensor) -> Any:
    q = own.posterior(x)
    return own.decoded(q.sample()), divergence(q)


def independent(own: Coder, x: Tensor) -> Any:
    q = own.posterior(x)
    return own.decoded(D.Independent(q, 1).sample()), divergence(q)


def reshaped(own: Coder, x: Tensor) -> Any:
    q = own.posterior(x)
    z = torch.tanh(2.0 * q.sample().reshape(-1, 4)) + 1.0
    return own.decoded(torch.cat([z[:, :2], z[:, 2:]], 1)), divergence(q)


def by_hand(own: Coder, x: Tensor) -> Any:
    q = own.posterior(x)
    with torch.no_grad():
        z = torch.normal(q.loc, q.scale)
    return own.decoded(z), divergence(q)


def noise_of_a_learnt_size(own: Coder, x: Tensor) -> Any:
    q = own.posterior(x)
    z = q.loc + D.Laplace(torch.zeros(4), q.scale).sample()
    return own.decoded(z), divergence(q)


def with_a_bare_weight(own: Coder, x: Tensor) -> Any:
    q = own.posterior(x)
    h = torch.tanh(q.sample() @ own.decode.weight.T)
    return own.last(h), divergence(q)


@pytest.mark.parametrize(
    "forward", [sampled, independent, reshaped, by_hand, noise_of_a_learnt_size, with_a_bare_weight]
)
def test_a_draw_that_feeds_layers_is_found(forward: Drawn) -> None:
    recording = seen(forward)
    (draw,) = draws_of(recording)
    assert draw.source is not None
    assert draw.source.function == forward.__name__
    assert "decode.weight" in draw.feeds
    (finding,) = findings(recording)
    assert finding.severity is Severity.WARNING
    assert "size.weight" in finding.parameters
    assert "decode.weight" not in finding.parameters
    assert str(draw.source) in finding.message
    assert "rsample()" in finding.help[0]


def test_an_encoder_without_any_gradient_is_told_of_rsample() -> None:
    def alone(own: Coder, x: Tensor) -> Any:
        return own.decoded(own.posterior(x).sample()), torch.zeros(())

    (finding,) = findings(seen(alone))
    assert finding.severity is Severity.ERROR
    assert finding.message.startswith(".sample() draws without a gradient")
    assert "rsample()" in finding.help[0]


# ---------------------------------------------------------------------------- healthy


def reparametrised(own: Coder, x: Tensor) -> Any:
    q = own.posterior(x)
    return own.decoded(q.rsample()), divergence(q)


def a_policy(own: Coder, x: Tensor) -> Any:
    q = own.posterior(x)
    action = q.sample()
    value = own.decoded(action)
    return value, -(q.log_prob(action).sum(-1) * value.detach().sum(-1)) + divergence(q)


def a_squashed_policy(own: Coder, x: Tensor) -> Any:
    q = own.posterior(x)
    policy = D.TransformedDistribution(q, [D.TanhTransform()])
    action = policy.sample()
    return own.decoded(action), -policy.log_prob(action.clamp(-0.99, 0.99)).sum(-1) + divergence(q)


def a_gamma_policy(own: Coder, x: Tensor) -> Any:
    q = own.posterior(x)
    policy = D.Gamma(1.0 + q.loc.square(), q.scale)
    action = policy.sample()
    return own.decoded(action), -policy.log_prob(action).sum(-1) + divergence(q)


def a_discrete_policy(own: Coder, x: Tensor) -> Any:
    q = own.posterior(x)
    choice = D.Categorical(logits=q.loc)
    return own.decoded(F.one_hot(choice.sample(), 4).float()), divergence(q)


def a_constant_prior(own: Coder, x: Tensor) -> Any:
    q = own.posterior(x)
    return own.decoded(q.mean + D.Normal(torch.zeros(4), 0.1).sample()), divergence(q)


def a_frozen_encoder(own: Coder, x: Tensor) -> Any:
    with torch.no_grad():
        q = own.posterior(x)
    return own.decoded(q.sample()), divergence(own.posterior(x))


def a_target(own: Coder, x: Tensor) -> Any:
    q = own.posterior(x)
    wanted = q.sample()
    return own.decoded(q.mean), divergence(q) + (q.mean - wanted.detach()).square().sum(-1)


def stopped_on_purpose(own: Coder, x: Tensor) -> Any:
    q = own.posterior(x)
    return own.decoded(q.sample().detach()), divergence(q)


def straight_through(own: Coder, x: Tensor) -> Any:
    q = own.posterior(x)
    return own.decoded(q.mean + (q.sample() - q.mean).detach()), divergence(q)


def quantised(own: Coder, x: Tensor) -> Any:
    q = own.posterior(x)
    codes = q.mean.round()
    return own.decoded(q.mean + (codes - q.mean).detach()), divergence(q)


def dropped(own: Coder, x: Tensor) -> Any:
    q = own.posterior(x)
    return own.decoded(F.dropout(q.mean, 0.5)), divergence(q)


def looked_at_only(own: Coder, x: Tensor) -> Any:
    q = own.posterior(x)
    own.seen = own.decoded(q.sample()).detach()
    return own.decoded(q.mean), divergence(q)


@pytest.mark.parametrize(
    "forward",
    [
        reparametrised,
        a_policy,
        a_squashed_policy,
        a_gamma_policy,
        a_discrete_policy,
        a_constant_prior,
        a_frozen_encoder,
        a_target,
        stopped_on_purpose,
        straight_through,
        quantised,
        dropped,
        looked_at_only,
    ],
)
def test_other_draws_are_left_alone(forward: Drawn) -> None:
    recording = seen(forward)
    assert draws_of(recording) == ()
    assert findings(recording) == []


def test_an_encoder_that_nobody_trains_is_left_alone() -> None:
    def of_the_decoder(model: Coder) -> torch.optim.Optimizer:
        return torch.optim.SGD([*model.decode.parameters(), *model.last.parameters()], lr=0.1)

    assert findings(seen(sampled, of_the_decoder)) == []
