"""UV507: a classifier that is sure of its first answers, and wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tests.diagnose.test_contract import sure
from torch import Tensor, nn

from unvanish import checkup
from unvanish.core.conditions import ShortTraining
from unvanish.core.findings import Cause, Severity
from unvanish.core.records import Parameter, Recording
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.rules.overconfident import OverconfidentStart


def examine(recording: Recording) -> Verdict:
    return OverconfidentStart().examine(recording)


def trained(recording: Recording, after: float) -> Recording:
    return replace(recording, training=ShortTraining(steps=60, loss_before=60.0, loss_after=after))


@pytest.mark.parametrize(
    ("recording", "severity"),
    [
        (sure(40.0, 60.0), Severity.NOTE),  # nobody asked training
        (trained(sure(40.0, 60.0), 3.0), Severity.WARNING),
        (trained(sure(40.0, 60.0), math.inf), Severity.NOTE),  # a matter of UV404
    ],
)
def test_training_says_how_much_it_matters(recording: Recording, severity: Severity) -> None:
    verdict = examine(recording)
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    assert finding.severity is severity
    assert finding.causes[0] is Cause.INIT_TOO_LARGE
    assert finding.expected == pytest.approx(math.log(10))
    assert ("worse than knowing nothing" in finding.notes[-1]) is (severity is Severity.WARNING)


@pytest.mark.parametrize(
    "recording",
    [
        sure(1.0, 2.4),
        sure(40.0, 6.0),  # loud, and right
        sure(4.0, 8.0),  # a few samples that are far off
        sure(6.0, 700.0),  # a sum over the samples
        trained(sure(40.0, 60.0), 2.0),  # it comes back
    ],
)
def test_a_start_that_knows_nothing_is_clear(recording: Recording) -> None:
    assert isinstance(examine(recording), Clear)


def test_not_judged() -> None:
    old = replace(sure(40.0, 60.0), parameters=(Parameter(name="b", shape=(10,), rms=0.1),))
    assert isinstance(examine(old), NotApplicable)
    assert isinstance(examine(Recording()), NotApplicable)
    assert isinstance(examine(sure(None, None)), NotMeasured)


class Tied(nn.Module):
    """A language model whose embedding is its output matrix too."""

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self.words, self.body = nn.Embedding(32, 64), nn.Linear(64, 64)
        self.norm = nn.LayerNorm(64)
        nn.init.normal_(self.words.weight, std=deviation)

    def forward(self, words: Tensor) -> Tensor:
        h = self.words(words)
        return self.norm(h + torch.tanh(self.body(h))) @ self.words.weight.T


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=1e-3)


@pytest.mark.parametrize("loss", [F.cross_entropy, lambda o, t: F.nll_loss(o.log_softmax(1), t)])
def test_embeddings_of_unit_size_as_output(loss: Callable[..., Tensor]) -> None:
    words = torch.randint(32, (6, 128), generator=torch.Generator().manual_seed(0))
    batches = [(row, row.roll(1)) for row in words]
    severities = {}
    for deviation in (1.0, 0.02):
        torch.manual_seed(0)
        report = checkup(Tied(deviation), data=batches, loss=loss, optimizer=adam)
        severities[deviation] = [f.severity for f in report.findings if f.code == "UV507"]
    assert severities == {1.0: [Severity.WARNING], 0.02: []}


def test_a_summed_loss_is_no_loud_one() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(256, 8), torch.randint(4, (256,))
    net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
    report = checkup(net, (x, y), loss=nn.CrossEntropyLoss(reduction="sum"))
    assert isinstance(report.diagnosis.verdicts["UV507"], Clear)
