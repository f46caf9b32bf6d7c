"""Losses whose gradient does not know the target."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish import checkup
from unvanish.core.findings import Severity
from unvanish.core.verdicts import Found

X = torch.randn(48, 6, generator=torch.Generator().manual_seed(0))
Y = X[:, 0] + 0.3 * X[:, 1]
LABELS = (Y > 0).long()


def found(outputs: int, target: Tensor | None, loss: object) -> dict[str, Severity]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, outputs), nn.Flatten(0))
    net = net if outputs == 1 else net[:3]
    batch = (X, target) if target is not None else X
    verdicts = checkup(net, batch, loss=loss, select=["UV205", "UV501"]).diagnosis.verdicts
    return {c: v.findings[0].severity for c, v in verdicts.items() if isinstance(v, Found)}


def ranks(v: Tensor) -> Tensor:
    return v.argsort().argsort().float()


def correlation(a: Tensor, b: Tensor) -> Tensor:
    a, b = a - a.mean(), b - b.mean()
    return (a * b).sum() / (a.norm() * b.norm())


def penalty(o: Tensor) -> Tensor:
    return 1e-3 * o.square().mean()


def sampled(o: Tensor, t: Tensor) -> Tensor:
    drawn = torch.distributions.Categorical(logits=o)
    action = drawn.sample()
    return -(drawn.log_prob(action) * (action == t).float()).mean()


@pytest.mark.parametrize(
    ("code", "outputs", "target", "loss"),
    [
        ("UV205", 1, Y, lambda o, t: 1 - correlation(ranks(o), ranks(t)) + penalty(o)),
        ("UV205", 1, Y, lambda o, t: penalty(o) - correlation(o.argsort().float(), t)),
        ("UV205", 2, LABELS, lambda o, t: (o.argmax(1) != t).float().mean() + penalty(o)),
        ("UV205", 1, LABELS, lambda o, t: 2 * (((o > 0) != t).float().mean() + penalty(o))),
        ("UV501", 1, Y, lambda o, t: F.mse_loss(o.detach(), t) + penalty(o)),
        (
            "UV501",
            1,
            Y,
            lambda o, t: float(((o - t) ** 2).mean().item()) + penalty(o),
        ),
    ],
)
def test_the_target_has_no_say(code: str, outputs: int, target: Tensor, loss: object) -> None:
    assert found(outputs, target, loss) == {code: Severity.ERROR}


@pytest.mark.parametrize(
    ("outputs", "target", "loss"),
    [
        (1, Y, lambda o, t: 1 - correlation(o, ranks(t)) + penalty(o)),
        (1, Y, lambda o, t: 1 - correlation(o + (ranks(o) - o).detach(), ranks(t)) + penalty(o)),
        (2, LABELS, F.cross_entropy),
        (2, LABELS, sampled),
        (2, LABELS, lambda o, t: F.cross_entropy(o, t) + (o.argmax(1) != t).float().mean()),
        (2, LABELS, lambda o, t: (o.softmax(1) * (o.argmax(1) != t).float()[:, None]).mean()),
        (1, Y, lambda o, t: (o - t).abs().mean() / (o - t).abs().mean().detach()),
        (1, torch.zeros(()), lambda o, t: penalty(o) + t),
        (1, Y, lambda o, _: penalty(o) + (o > 0).float().mean()),
        (1, None, lambda o, _: penalty(o) + (o > 0).float().mean()),
    ],
)
def test_the_target_has_a_say_or_is_none(outputs: int, target: Tensor | None, loss: object) -> None:
    assert not found(outputs, target, loss)
