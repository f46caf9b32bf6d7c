"""UV508: a loss of several terms, one of which is not learnt for the gradient of another."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from tests.diagnose.test_contract import DROWNED, summed
from torch import Tensor, nn

from unvanish import checkup
from unvanish.core.codec import decode_recording, encode_recording
from unvanish.core.findings import Severity
from unvanish.core.records import Recording
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.rules.drowned_term import DrownedTerm

nan = math.nan
LEARNT_WHEN_HEARD = {
    "after": 0.5,
    "mismatched": 0.5,
    "balanced": 0.2,
    "balanced_mismatched": 0.8,
}


def examine(recording: Recording) -> Verdict:
    return DrownedTerm().examine(recording)


def test_a_term_that_is_learnt_only_where_it_is_heard() -> None:
    verdict = examine(summed(*DROWNED, **LEARNT_WHEN_HEARD))
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    assert finding.severity is Severity.WARNING
    assert [site.op for site in finding.sites] == ["mse_loss", "mul"]
    assert (finding.measured, finding.expected) == (1.0, pytest.approx(0.25))
    assert "100 times" in finding.message
    assert finding.help[0] == "multiply the mse_loss by 100, or the term by 0.01"


def test_without_targets_the_first_value_is_the_measure() -> None:
    found = examine(summed(*DROWNED, after=0.95, balanced=0.3))
    assert isinstance(found, Found)
    assert found.findings[0].limit == 0.9
    for after, balanced in ((0.8, 0.1), (0.95, 0.7), (0.95, nan)):
        assert isinstance(examine(summed(*DROWNED, after=after, balanced=balanced)), Clear)


@pytest.mark.parametrize(
    "changed",
    [
        {"after": 0.4},  # learnt as it is
        {"after": 0.4, "balanced": nan, "balanced_mismatched": nan},
        {"balanced": 0.8},  # not learnt either way
        {"after": 0.1, "mismatched": 0.1},  # it ends lower as it is
        {"balanced": nan, "balanced_mismatched": nan},
    ],
)
def test_what_training_clears(changed: dict[str, float]) -> None:
    assert isinstance(examine(summed(*DROWNED, **{**LEARNT_WHEN_HEARD, **changed})), Clear)


def test_what_is_not_drowned() -> None:
    healthy = summed((-0.4, -0.4), (0.0, 0.0), **LEARNT_WHEN_HEARD)
    assert isinstance(examine(healthy), Clear)
    apart = summed((-2.0, nan), (nan, 0.0), **LEARNT_WHEN_HEARD)
    assert isinstance(examine(apart), Clear)
    penalty = summed((0.0, 0.0), (-2.0, -2.0), **LEARNT_WHEN_HEARD)
    assert isinstance(examine(penalty), Clear)


def test_not_judged() -> None:
    assert isinstance(examine(Recording()), NotApplicable)
    assert isinstance(examine(summed()), NotMeasured)
    untried = examine(summed(*DROWNED))
    assert isinstance(untried, Clear)
    assert "was not tried" in untried.summary


def test_terms_and_trial_are_saved() -> None:
    recording = summed(*DROWNED, **LEARNT_WHEN_HEARD)
    back = decode_recording(encode_recording(recording))
    assert (back.terms, back.term_trial) == (recording.terms, recording.term_trial)
    old = encode_recording(recording)
    del old["terms"], old["term_trial"]
    assert decode_recording(old).terms == ()
    assert decode_recording(old).term_trial is None


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=2e-3)


class Autoencoder(nn.Module):
    """A variational autoencoder of 64 entries that are made of two."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 8))
        self.decoder = nn.Sequential(nn.Linear(4, 64), nn.SiLU(), nn.Linear(64, 64))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, spread = self.encoder(x).chunk(2, dim=1)
        code = mean + torch.randn_like(mean) * torch.exp(0.5 * spread)
        return self.decoder(code), mean, spread


def prior(mean: Tensor, spread: Tensor) -> Tensor:
    return -0.5 * (1 + spread - mean.pow(2) - spread.exp()).sum(1).mean()


def averaged(output: tuple[Tensor, Tensor, Tensor], x: Tensor) -> Tensor:
    return F.mse_loss(output[0], x) + prior(*output[1:])


def added_up(output: tuple[Tensor, Tensor, Tensor], x: Tensor) -> Tensor:
    return (output[0] - x).pow(2).sum() / len(x) + prior(*output[1:])


def alone(output: tuple[Tensor, Tensor, Tensor], x: Tensor) -> Tensor:
    return F.mse_loss(output[0], x)


@pytest.mark.parametrize(
    ("loss", "kind"), [(averaged, Found), (added_up, Clear), (alone, NotApplicable)]
)
def test_a_prior_that_drowns_the_reconstruction(loss: Callable[..., Tensor], kind: type) -> None:
    generator = torch.Generator().manual_seed(0)
    codes, table = (torch.randn(shape, generator=generator) for shape in ((300, 2), (2, 64)))
    x = torch.tanh(0.7 * codes @ table)
    torch.manual_seed(0)
    report = checkup(Autoencoder(), data=[(b, b) for b in x.split(100)], loss=loss, optimizer=adam)
    verdict = report.diagnosis.verdicts["UV508"]
    assert isinstance(verdict, kind), verdict


class TwoAnswers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
        self.leaves, self.spends = nn.Linear(16, 1), nn.Linear(16, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.trunk(x)
        return self.leaves(h).squeeze(1), self.spends(h).squeeze(1)


@pytest.mark.parametrize(("weight", "kind"), [(1e4, Found), (1.0, Clear)])
def test_two_tasks_in_units_of_their_own(weight: float, kind: type) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(384, 8, generator=generator)
    noise = torch.randn(384, generator=generator)
    target = torch.stack([(x[:, 0] + x[:, 1] > 0).float(), x[:, 4] * x[:, 5] + noise], 1)

    def loss(output: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
        leaves = F.binary_cross_entropy_with_logits(output[0], target[:, 0])
        return leaves + weight * F.mse_loss(output[1], target[:, 1])

    def sgd(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=0.1 / weight, momentum=0.9)

    torch.manual_seed(0)
    data = list(zip(x.split(128), target.split(128), strict=True))
    report = checkup(TwoAnswers(), data=data, loss=loss, optimizer=sgd)
    verdict = report.diagnosis.verdicts["UV508"]
    assert isinstance(verdict, kind), verdict
