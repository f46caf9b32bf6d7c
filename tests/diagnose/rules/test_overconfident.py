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

from unvanish import Report, checkup
from unvanish.core.conditions import LossTerm, RunContext, ShortTraining
from unvanish.core.findings import Cause, Severity
from unvanish.core.records import Parameter, Recording
from unvanish.core.scores import scores_of
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.rules.overconfident import OverconfidentStart


def examine(recording: Recording) -> Verdict:
    return OverconfidentStart().examine(recording)


def trained(recording: Recording, after: float, before: float = 60.0) -> Recording:
    run = ShortTraining(steps=60, loss_before=before, loss_after=after)
    return replace(recording, training=run)


def binary(size: float, loss: float) -> Recording:
    """Build the same, of 320 answers yes or no."""
    seen = sure(size, loss)
    error = replace(seen.sites[2], index=1, op="binary_cross_entropy_with_logits")
    values = {0: size, 1: loss}
    return replace(
        seen,
        sites=(seen.sites[0], error),
        edges=seen.edges[:1],
        profiles={q: replace(p, values=values) for q, p in seen.profiles.items()},
    )


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


def test_what_knowing_nothing_costs() -> None:
    (classes,), (yes,) = scores_of(sure(40.0, 60.0)), scores_of(binary(11.5, 4.3))
    assert (classes.classes, classes.answers, yes.classes, yes.answers) == (10, 32, 2, 320)
    assert yes.chance == yes.of_nothing == pytest.approx(math.log(2))
    assert yes.is_far_out
    (weighted,) = scores_of(binary(10.0, 8.0))  # twice what a coin would cost
    assert weighted.of_nothing == pytest.approx(2 * math.log(2))
    (total,) = scores_of(binary(0.5, 224.0))  # a sum over the answers
    assert total.chance == pytest.approx(320 * math.log(2))
    assert not total.is_far_out


@pytest.mark.parametrize(
    ("recording", "kind"),
    [
        (trained(binary(11.5, 4.3), 3.0, 4.3), Found),
        (trained(binary(11.5, 4.3), 0.4, 4.3), Clear),
        (binary(0.5, 0.72), Clear),
        (binary(4.6, 0.1), Clear),  # a bias of -4.6, and next to nothing to find
        (binary(0.5, 14.0), Clear),  # weights of some 20
    ],
)
def test_answers_of_yes_or_no(recording: Recording, kind: type) -> None:
    assert isinstance(examine(recording), kind)


def test_the_other_terms_of_a_loss_may_stay() -> None:
    """A loss of 4.3 and 6 comes to no less than 0.69 and 6 where the scores know nothing."""
    seen = replace(binary(11.5, 4.3), context=RunContext(loss_value=10.3))
    terms = (LossTerm(site=1, value=4.3), LossTerm(site=7, value=6.0))
    for after, kind in ((6.5, Clear), (7.0, Found)):
        run = ShortTraining(steps=60, loss_before=10.3, loss_after=after)
        assert isinstance(examine(replace(seen, training=run, terms=terms)), kind)


class Dots(nn.Module):
    """Users and things, of which those match whose embeddings do."""

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self.users, self.things = nn.Embedding(50, 64), nn.Embedding(60, 64)
        for table in (self.users, self.things):
            nn.init.normal_(table.weight, std=deviation)

    def forward(self, pairs: Tensor) -> Tensor:
        return (self.users(pairs[:, 0]) * self.things(pairs[:, 1])).sum(-1)


def severities(report: Report) -> list[Severity]:
    return [f.severity for f in report.findings if f.code == "UV507"]


@pytest.mark.parametrize(("deviation", "said"), [(1.0, [Severity.WARNING]), (0.02, [])])
def test_products_of_embeddings(deviation: float, said: list[Severity]) -> None:
    torch.manual_seed(0)
    pairs = torch.stack([torch.randint(50, (3, 512)), torch.randint(60, (3, 512))], -1)
    batches = [(row, (row.sum(1) % 3 == 0).float()) for row in pairs]
    loss = nn.BCEWithLogitsLoss()
    report = checkup(Dots(deviation), data=batches, loss=loss, optimizer=adam)
    assert severities(report) == said


@pytest.mark.parametrize(("deviation", "said"), [(1.0, [Severity.WARNING]), (0.02, [])])
def test_classes_with_places_behind_them(deviation: float, said: list[Severity]) -> None:
    words = torch.randint(32, (3, 8, 17), generator=torch.Generator().manual_seed(0))
    batches = [(rows[:, :-1], rows[:, 1:]) for rows in words]
    torch.manual_seed(0)
    report = checkup(
        Tied(deviation),
        data=batches,
        loss=lambda o, t: F.cross_entropy(o.transpose(1, 2), t),
        optimizer=adam,
    )
    (scores,) = scores_of(report.recording)
    assert (scores.classes, scores.answers) == (32, 128)
    assert severities(report) == said


def convolutions(outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, outputs, 3, padding=1)
    )


def with_prior() -> nn.Module:
    net = convolutions(4)
    nn.init.constant_(net[2].bias, -4.6)  # type: ignore[index,arg-type]
    return net


PICTURES = torch.randn(8, 3, 12, 12, generator=torch.Generator().manual_seed(0))
RARE = (torch.rand(8, 4, 12, 12, generator=torch.Generator().manual_seed(1)) < 0.01).float()


@pytest.mark.parametrize(
    ("net", "target", "loss", "answers"),
    [
        (convolutions, PICTURES.argmax(1) + 1, nn.CrossEntropyLoss(), 8 * 144),
        (convolutions, RARE, nn.BCEWithLogitsLoss(), 4 * 8 * 144),
        (convolutions, RARE, nn.BCEWithLogitsLoss(pos_weight=torch.tensor(99.0)), 4 * 8 * 144),
        (convolutions, RARE, nn.BCEWithLogitsLoss(weight=1.0 + 50.0 * RARE), 4 * 8 * 144),
        (convolutions, RARE, nn.BCEWithLogitsLoss(reduction="sum"), 4 * 8 * 144),
        (lambda _: with_prior(), RARE, nn.BCEWithLogitsLoss(), 4 * 8 * 144),
        (
            convolutions,
            RARE,
            lambda o, t: F.binary_cross_entropy_with_logits(o, t, reduction="none").sum(1).mean(),
            4 * 8 * 144,
        ),
    ],
)
def test_usual_starts_are_clear(
    net: Callable[[int], nn.Module], target: Tensor, loss: Callable[..., Tensor], answers: int
) -> None:
    torch.manual_seed(0)
    report = checkup(net(4), (PICTURES, target), loss=loss, optimizer=adam)
    assert [scores.answers for scores in scores_of(report.recording)] == [answers]
    assert isinstance(report.diagnosis.verdicts["UV507"], Clear)


def test_loud_features_that_training_makes_quiet() -> None:
    """Features of size 60, and weights of 20 for a yes."""
    torch.manual_seed(0)
    x = 60.0 * torch.randn(256, 16)
    y = (x[:, :1] + 0.5 * torch.randn(256, 1) > 0).float()
    net = nn.Sequential(
        nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
    )
    weighted = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(20.0))
    report = checkup(
        net, (x, y), loss=weighted, optimizer=lambda m: torch.optim.Adam(m.parameters(), lr=3e-3)
    )
    (scores,) = scores_of(report.recording)
    assert scores.is_far_out
    assert isinstance(report.diagnosis.verdicts["UV507"], Clear)


def test_a_network_that_is_sure_and_right() -> None:
    torch.manual_seed(0)
    x = torch.randn(256, 16)
    y = (x[:, :5] > 0).float()
    net = nn.Sequential(nn.Linear(16, 5))
    with torch.no_grad():
        net[0].weight.copy_(40.0 * torch.eye(5, 16))  # type: ignore[operator]
    report = checkup(net, (x, y), loss=nn.BCEWithLogitsLoss(), optimizer=adam)
    (scores,) = scores_of(report.recording)
    assert scores.size > 30.0 > 1.0 > scores.loss
    assert severities(report) == []


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
def test_smoothed_labels_are_a_cross_entropy_too(reduction: str, weighted: bool) -> None:
    torch.manual_seed(0)
    weight = torch.ones(5) if weighted else None
    own = nn.CrossEntropyLoss(weight=weight, label_smoothing=0.1, reduction=reduction)
    batch = torch.randn(32, 8), torch.randint(5, (32,))
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 5))

    def loss(output: Tensor, target: Tensor) -> Tensor:
        return own(output, target).mean()

    report = checkup(model, batch, loss=loss, select=("UV507",))
    assert isinstance(examine(report.recording), Clear)
    (scores,) = scores_of(report.recording)
    per_answer = scores.loss / (32 if reduction == "sum" else 1)
    assert 1.4 < per_answer < 2.0


class Steps(nn.Module):
    """Scores of every step of a sequence, as recurrent networks and decoders give them."""

    def __init__(self, joined: str) -> None:
        super().__init__()
        self.cell, self.head = nn.GRU(6, 16), nn.Linear(16, 5)
        self.joined = joined

    def forward(self, x: Tensor) -> Tensor:
        h, _ = self.cell(x)
        if self.joined == "stack":
            return torch.stack([self.head(one) for one in h]).flatten(0, 1)
        if self.joined == "cat":
            return torch.cat([self.head(one) for one in h])
        return self.head(h.transpose(0, 1)[:, ::2]).flatten(0, 1)


@pytest.mark.parametrize("joined", ["stack", "cat", "scattered"])
def test_scores_of_every_step_are_measured(joined: str) -> None:
    torch.manual_seed(0)
    model, x = Steps(joined), torch.randn(8, 32, 6)
    nn.init.normal_(model.head.bias, 2.0)
    answers = model(x).detach()
    batch = x, torch.randint(5, (len(answers),))
    report = checkup(model, batch, loss=F.cross_entropy, select=("UV507",))
    assert isinstance(examine(report.recording), Clear)
    (scores,) = scores_of(report.recording)
    assert scores.size == pytest.approx(float(answers.square().mean().sqrt()), rel=0.05)
    assert "head.weight" in scores.site.weights
