"""UV204: what the losses of torch ask of their arguments."""

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

Loss = Callable[[Any, Tensor], Tensor]

X = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(64) % 10
TEACHER = (2 * torch.randn(64, 10, generator=torch.Generator().manual_seed(1))).softmax(1)
YES = (torch.arange(64) % 2).float()
SIDES = 2 * YES - 1
RARE = torch.poisson(torch.full((64,), 0.3), generator=torch.Generator().manual_seed(2))


def ending(outputs: int, *end: nn.Module) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, outputs), *end)


def verdict(net: nn.Module, target: Tensor, loss: Loss) -> Verdict:
    return checkup(net, (X, target), loss=loss, select=["UV204"]).diagnosis.verdicts["UV204"]


def only(given: Verdict) -> Finding:
    assert isinstance(given, Found), given
    (finding,) = given.findings
    assert finding.causes[0] is Cause.LOSS_SATURATION
    assert finding.measured > finding.limit
    return finding


def column(loss: Callable[..., Tensor], **settings: bool) -> Loss:
    return lambda o, t: loss(o.squeeze(1), t, **settings)


def spoken(o: Tensor, t: Tensor) -> Tensor:
    words = t.view(4, 16)[:, :4].clamp(min=1)
    lengths = torch.full((4,), 16), torch.full((4,), 4)
    return F.ctc_loss(o.view(16, 4, 10), words, *lengths)


def turned(loss: Callable[..., Tensor]) -> Loss:
    return lambda o, t: loss(o, o.roll(1, 0).detach(), t)


def by_hand(o: Tensor, t: Tensor) -> Tensor:
    return torch.clamp(1 - t * o.squeeze(1), min=0).mean()


def rectified(o: Tensor, t: Tensor) -> Tensor:
    return F.relu(1 - o.squeeze(1) * t).square().mean()


def divergence(o: Tensor, t: Tensor) -> Tensor:
    return F.kl_div(o, t, reduction="batchmean")


def logarithmic(o: Tensor, t: Tensor) -> Tensor:
    return F.kl_div(o, t, reduction="batchmean", log_target=True)


SICK: dict[str, tuple[nn.Module, Tensor, Loss, Severity]] = {
    "kl of probabilities": (ending(10, nn.Softmax(1)), TEACHER, divergence, Severity.WARNING),
    "kl of scores": (ending(10), TEACHER, divergence, Severity.ERROR),
    "kl, log target": (ending(10, nn.LogSoftmax(1)), TEACHER, logarithmic, Severity.WARNING),
    "ctc of scores": (ending(10), LABELS, spoken, Severity.ERROR),
    "ctc of probabilities": (ending(10, nn.Softmax(1)), LABELS, spoken, Severity.WARNING),
    "poisson of a rate": (
        ending(1, nn.Softplus()),
        RARE,
        column(F.poisson_nll_loss),
        Severity.WARNING,
    ),
    "poisson of an exponential": (
        ending(1),
        RARE,
        lambda o, t: F.poisson_nll_loss(o.squeeze(1).exp(), t),
        Severity.WARNING,
    ),
    "poisson of a score": (
        ending(1),
        RARE,
        column(F.poisson_nll_loss, log_input=False),
        Severity.ERROR,
    ),
    "soft margin": (ending(1), YES, column(F.soft_margin_loss), Severity.WARNING),
    "hinge embedding": (ending(1), YES, column(F.hinge_embedding_loss), Severity.WARNING),
    "cosine embedding": (ending(8), YES, turned(F.cosine_embedding_loss), Severity.WARNING),
    "ranking": (
        ending(1),
        YES,
        lambda o, t: turned(F.margin_ranking_loss)(o.squeeze(1), t),
        Severity.WARNING,
    ),
    "two learned embeddings": (
        ending(8),
        YES,
        lambda o, t: F.cosine_embedding_loss(o, o.roll(1, 0) + o.flip(0), t),
        Severity.WARNING,
    ),
    "hinge by hand": (ending(1), YES, by_hand, Severity.WARNING),
    "squared hinge": (ending(1), YES, rectified, Severity.WARNING),
    "indices": (
        ending(10),
        F.one_hot(LABELS, 10),
        F.multilabel_margin_loss,
        Severity.WARNING,
    ),
    "two sigmoids": (
        ending(10, nn.Sigmoid()),
        F.one_hot(LABELS, 10).float(),
        F.multilabel_soft_margin_loss,
        Severity.WARNING,
    ),
}


@pytest.mark.parametrize("name", SICK)
def test_arguments_that_a_loss_does_not_ask_for(name: str) -> None:
    net, target, loss, severity = SICK[name]
    assert only(verdict(net, target, loss)).severity is severity


def contrastive(o: Tensor, t: Tensor) -> Tensor:
    apart = o.squeeze(1).abs()
    return ((1 - t) * apart.square() + F.relu(1 - t * apart)).mean()


HEALTHY: dict[str, tuple[nn.Module, Tensor, Loss]] = {
    "kl": (ending(10, nn.LogSoftmax(1)), TEACHER, divergence),
    "kl, log target": (ending(10, nn.LogSoftmax(1)), TEACHER.log(), logarithmic),
    "kl of a logarithm": (
        ending(10, nn.Softmax(1)),
        TEACHER,
        lambda o, t: F.kl_div((o + 1e-8).log(), t, reduction="batchmean"),
    ),
    "kl of two outputs": (
        ending(10),
        TEACHER,
        lambda o, t: F.kl_div(o.log_softmax(1), (o + t).softmax(1), reduction="batchmean"),
    ),
    "ctc": (ending(10, nn.LogSoftmax(1)), LABELS, spoken),
    "poisson": (ending(1), RARE, column(F.poisson_nll_loss)),
    "poisson of a rate": (
        ending(1, nn.Softplus()),
        RARE,
        column(F.poisson_nll_loss, log_input=False),
    ),
    "large counts behind relu": (ending(1, nn.ReLU()), 40 + RARE, column(F.poisson_nll_loss)),
    "soft margin": (ending(1), SIDES, column(F.soft_margin_loss)),
    "mapped labels": (ending(1), YES, lambda o, t: F.soft_margin_loss(o[:, 0], 2 * t - 1)),
    "ties": (
        ending(1),
        SIDES.where(torch.arange(64) < 50, 0.0),
        lambda o, t: turned(F.margin_ranking_loss)(o.squeeze(1), t),
    ),
    "hinge by hand": (ending(1), SIDES, by_hand),
    "one of two terms": (ending(1), YES, contrastive),
    "indices": (
        ending(10),
        torch.cat([LABELS[:, None], torch.full((64, 9), -1)], 1),
        F.multilabel_margin_loss,
    ),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_what_a_loss_asks_for(name: str) -> None:
    assert not isinstance(verdict(*HEALTHY[name]), Found)
