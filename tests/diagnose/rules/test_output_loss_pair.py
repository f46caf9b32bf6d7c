"""UV204: outputs and losses that were, and were not, made for each other."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish import checkup
from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.verdicts import Clear, Found, NotApplicable, Verdict
from unvanish.diagnose.rules.output_loss_pair import OutputLossPair
from unvanish.observe import trace
from unvanish.testing import recording_of

examine = OutputLossPair().examine
Loss = Callable[[Any, Tensor], Tensor]

X = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(64) % 10
BINARY = (X[:, :1] > 0).float()
NORMAL = torch.randn(64, 1, generator=torch.Generator().manual_seed(1))


def ending(outputs: int, *end: nn.Module) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, outputs), *end)


def verdict(net: nn.Module, target: Tensor, loss: Loss) -> Verdict:
    return checkup(net, (X, target), loss=loss, select=["UV204"]).diagnosis.verdicts["UV204"]


def only(given: Verdict) -> Finding:
    assert isinstance(given, Found), given
    (finding,) = given.findings
    assert finding.causes[0] is Cause.LOSS_SATURATION
    return finding


@pytest.mark.parametrize(
    ("end", "classes", "width"),
    [
        (nn.Softmax(1), 10, 1.0),
        (nn.Softmax(1), 2, 1.0),
        (nn.Sigmoid(), 10, 1.0),
        (nn.Tanh(), 10, 2.0),
    ],
)
def test_the_bound_of_cross_entropy(end: nn.Module, classes: int, width: float) -> None:
    finding = only(verdict(ending(classes, end), LABELS % classes, F.cross_entropy))
    assert finding.measured == pytest.approx(1 / (1 + (classes - 1) * math.exp(-width)))
    assert finding.severity is Severity.WARNING


def test_the_bound_is_reached_by_the_best_answer() -> None:
    best = 50.0 * F.one_hot(LABELS, 10)
    bound = F.cross_entropy(best.softmax(1), LABELS)
    finding = only(verdict(ending(10, nn.Softmax(1)), LABELS, F.cross_entropy))
    assert -math.log(finding.measured) == pytest.approx(float(bound))


def test_two_classes_behind_tanh_are_a_note() -> None:
    finding = only(verdict(ending(2, nn.Tanh()), LABELS % 2, F.cross_entropy))
    assert finding.severity is Severity.NOTE


def test_a_thousand_classes_lose_three_decades_in_the_second_softmax() -> None:
    net = ending(1000, nn.Softmax(1))
    nn.init.zeros_(net[2].weight)
    finding = only(verdict(net, LABELS, F.cross_entropy))
    assert finding.severity is Severity.ERROR
    assert "decades of the gradient" in finding.notes[1]


@pytest.mark.parametrize(
    ("end", "best"),
    [(nn.Sigmoid(), 0.5), (nn.ReLU(), 0.5), (nn.Tanh(), 1 / (1 + math.exp(-1)))],
)
def test_the_bound_of_binary_cross_entropy(end: nn.Module, best: float) -> None:
    finding = only(verdict(ending(1, end), BINARY, F.binary_cross_entropy_with_logits))
    assert finding.measured == pytest.approx(best)


def test_two_sigmoids() -> None:
    net = ending(1, nn.Sigmoid(), nn.Sigmoid())
    assert only(verdict(net, BINARY, F.binary_cross_entropy)).measured == 0.5


def test_probabilities_and_scores_for_nll_loss() -> None:
    finding = only(verdict(ending(10, nn.Softmax(1)), LABELS, F.nll_loss))
    assert finding.measured == pytest.approx(0.1)
    finding = only(verdict(ending(10), LABELS, F.nll_loss))
    assert finding.severity is Severity.ERROR


def test_a_loss_inside_of_the_model() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(16, 10)

        def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
            p = self.head(x).softmax(-1)
            return {"loss": F.cross_entropy(p, labels), "p": p}

    report = checkup(Net(), {"x": X, "labels": LABELS}, select=["UV204"])
    assert only(report.diagnosis.verdicts["UV204"]).sites[0].op == "softmax"


def temperature(o: Tensor, t: Tensor) -> Tensor:
    return F.cross_entropy(o.softmax(1) / 0.05, t)


def capped(o: Tensor, t: Tensor) -> Tensor:
    return F.cross_entropy(30 * torch.tanh(o / 30), t)


def logarithm(o: Tensor, t: Tensor) -> Tensor:
    return F.nll_loss(torch.log(o.softmax(1) + 1e-8), t)


def distilled(o: Tensor, t: Tensor) -> Tensor:
    teacher = F.one_hot(t, 10).float().softmax(1)
    return F.kl_div(o.log_softmax(1), teacher, reduction="batchmean")


def entropies(o: Tensor, t: Tensor) -> Tensor:
    p = o.softmax(1)
    return F.cross_entropy(o, t) + 0.01 * (p * p.log()).sum(1).mean()


@pytest.mark.parametrize(
    ("end", "loss"),
    [
        ((), F.cross_entropy),
        ((nn.LogSoftmax(1),), F.cross_entropy),
        ((nn.LogSoftmax(1),), F.nll_loss),
        ((nn.ReLU(),), F.cross_entropy),
        ((), nn.CrossEntropyLoss(label_smoothing=0.1)),
        ((), temperature),
        ((), capped),
        ((), logarithm),
        ((), distilled),
        ((), entropies),
        ((nn.Softmax(1),), lambda o, t: F.mse_loss(o, F.one_hot(t, 10).float())),
    ],
)
def test_healthy_pairs(end: tuple[nn.Module, ...], loss: Loss) -> None:
    assert isinstance(verdict(ending(10, *end), LABELS, loss), Clear)


def test_a_learned_scale_can_grow() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(16, 10)
            self.scale = nn.Parameter(torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            return self.scale.exp() * torch.tanh(self.head(x))

    assert not isinstance(verdict(Scaled(), LABELS, F.cross_entropy), Found)


def test_a_softmax_inside_of_the_network_is_none_of_its_business() -> None:
    net = nn.Sequential(nn.Linear(16, 32), nn.Softmax(1), nn.Linear(32, 10))
    assert isinstance(verdict(net, LABELS, F.cross_entropy), Clear)


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss])
@pytest.mark.parametrize(
    ("end", "target"),
    [
        (nn.Sigmoid(), 255 * BINARY),
        (nn.Tanh(), LABELS[:, None].float()),
        (nn.ReLU(), NORMAL),
        (nn.Softplus(), NORMAL),
    ],
    ids=["sigmoid", "tanh", "relu", "softplus"],
)
def test_targets_out_of_reach(end: nn.Module, target: Tensor, loss: Loss) -> None:
    finding = only(verdict(ending(1, end), target, loss))
    assert finding.measured > finding.limit


def test_a_difference_written_by_hand() -> None:
    target = LABELS[:, None].float()
    net = ending(1, nn.Tanh())
    assert isinstance(verdict(net, target, lambda o, t: (t - o).square().mean()), Found)


@pytest.mark.parametrize(
    ("end", "target"),
    [
        ((nn.Sigmoid(),), BINARY),
        ((nn.Tanh(),), 0.5 * NORMAL),
        ((nn.ReLU(),), NORMAL.abs()),
        ((), 1000 * NORMAL),
        ((nn.Hardtanh(-9, 9),), 4 * NORMAL),
    ],
    ids=["sigmoid", "tanh", "relu", "none", "hardtanh"],
)
def test_targets_within_reach(end: tuple[nn.Module, ...], target: Tensor) -> None:
    assert isinstance(verdict(ending(1, *end), target, F.mse_loss), Clear)


def test_a_constant_factor_widens_the_range() -> None:
    class Wide(nn.Module):
        def __init__(self, reach: float) -> None:
            super().__init__()
            self.body, self.reach = ending(1), reach

        def forward(self, x: Tensor) -> Tensor:
            return self.reach * torch.tanh(self.body(x))

    assert isinstance(verdict(Wide(60.0), 30 * NORMAL, F.mse_loss), Clear)
    assert isinstance(verdict(Wide(3.0), 30 * NORMAL, F.mse_loss), Found)


def test_targets_that_the_loss_transforms_are_not_known() -> None:
    net = ending(1, nn.Sigmoid())
    given = verdict(net, 255 * BINARY, lambda o, t: F.mse_loss(o, t / 255))
    assert isinstance(given, Clear)


def test_classes_of_minus_one_and_one() -> None:
    target = 2 * BINARY - 1
    finding = only(verdict(ending(1), target, F.binary_cross_entropy_with_logits))
    assert finding.measured == 1.0


def test_one_class() -> None:
    finding = only(verdict(ending(1), torch.zeros(64, dtype=torch.long), F.cross_entropy))
    assert finding.severity is Severity.ERROR
    finding = only(verdict(ending(1, nn.Softmax(1)), BINARY, F.mse_loss))
    assert "over one class" in finding.message


@pytest.mark.filterwarnings("ignore:Using a target size")
def test_all_outputs_against_all_targets() -> None:
    finding = only(verdict(ending(1), NORMAL[:, 0], F.mse_loss))
    assert finding.measured == 64.0
    assert isinstance(verdict(ending(1), NORMAL[:1], F.mse_loss), Clear)


def test_a_loss_of_no_known_kind() -> None:
    assert isinstance(verdict(ending(1), BINARY, lambda o, _: o.mean()), NotApplicable)


def test_by_hand() -> None:
    mean = {Quantity.ACTIVATION_MEAN: [0.0, 0.25, -1.4]}
    finding = only(examine(recording_of("linear", "softmax", "log_softmax", profiles=mean)))
    assert finding.measured == pytest.approx(1 / (1 + 3 * math.exp(-1)))


def test_rectified_scores_for_nll_loss() -> None:
    finding = only(verdict(ending(10, nn.ReLU()), LABELS, F.nll_loss))
    assert finding.severity is Severity.ERROR


def test_a_softmax_over_the_samples() -> None:
    hot = F.one_hot(LABELS, 10).float()
    finding = only(verdict(ending(10, nn.Softmax(0)), hot, F.mse_loss))
    assert finding.measured == pytest.approx(10 / 64)
    assert finding.severity is Severity.WARNING
    assert "dim=1" in finding.help[0]


def test_a_column_less_a_row() -> None:
    def by_hand(o: Tensor, t: Tensor) -> Tensor:
        return (o - t).square().mean()

    assert only(verdict(ending(1), NORMAL.squeeze(1), by_hand)).measured == 64.0
    assert isinstance(verdict(ending(1), NORMAL, by_hand), Clear)
    assert isinstance(verdict(ending(5), NORMAL, by_hand), Clear)


@pytest.mark.parametrize("end", [nn.LogSigmoid(), nn.Softplus(), nn.ReLU6()])
@pytest.mark.parametrize("factor", [-1e6, -1.0, 1e-30, 1.0, 1e6])
def test_open_and_extreme_ranges_are_judged_without_a_fault(end: nn.Module, factor: float) -> None:
    class Scaled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return factor * end(x)

    net = ending(1, Scaled())
    for loss in (F.binary_cross_entropy_with_logits, F.mse_loss):
        assert isinstance(verdict(net, BINARY, loss), Clear | Found)
    assert isinstance(verdict(ending(10, Scaled()), LABELS, F.cross_entropy), Clear | Found)


REWARDS = torch.randn(64, generator=torch.Generator().manual_seed(2))


def unreduced(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output, target, reduction="none")


@pytest.mark.parametrize(
    ("outputs", "target", "loss"),
    [
        (10, LABELS, lambda o, t: -F.cross_entropy(o, t)),
        (10, LABELS, lambda o, t: -unreduced(o, t).mean()),
        (10, LABELS, lambda o, t: -F.nll_loss(F.log_softmax(o, 1), t)),
        (1, BINARY, lambda o, t: -F.binary_cross_entropy_with_logits(o, t)),
        (1, NORMAL, lambda o, t: -F.mse_loss(o, t)),
    ],
)
def test_an_error_with_its_sign_turned(outputs: int, target: Tensor, loss: Loss) -> None:
    finding = only(verdict(ending(outputs), target, loss))
    assert finding.severity is Severity.WARNING
    assert "sign turned" in finding.message
    assert finding.help[0].startswith("take the minus away")


@pytest.mark.parametrize(
    "loss",
    [
        lambda o, t: F.cross_entropy(o, t).neg().neg(),
        lambda o, t: (unreduced(o, t) * REWARDS).mean(),
        lambda o, t: -(-unreduced(o, t) * REWARDS).mean(),
        lambda o, t: -(torch.distributions.Categorical(logits=o).log_prob(t) * REWARDS).mean(),
        lambda o, t: o.square().mean() - F.cross_entropy(o, t),
        lambda o, t: -(-F.cross_entropy(o, t) - o.square().mean()),
        lambda o, _: (o.softmax(1) * o.log_softmax(1)).sum(1).mean(),
        lambda o, t: -F.cosine_similarity(o, F.one_hot(t, 10).float()).mean(),
    ],
)
def test_rewards_bounds_and_adversaries_may_have_negative_losses(loss: Loss) -> None:
    assert not isinstance(verdict(ending(10), LABELS, loss), Found)


def test_a_frozen_critic_and_an_optimiser_that_climbs_may_have_a_negative_error() -> None:
    def upside_down(output: Tensor, target: Tensor) -> Tensor:
        return -F.cross_entropy(output, target)

    critic = ending(10)
    critic[2].requires_grad_(requires_grad=False)
    assert not isinstance(verdict(critic, LABELS, upside_down), Found)
    net = ending(10)
    climbing = torch.optim.SGD(net.parameters(), lr=0.1, maximize=True)
    made = checkup(net, (X, LABELS), loss=upside_down, optimizer=climbing, select=["UV204"])
    assert not isinstance(made.diagnosis.verdicts["UV204"], Found)


class Towers(nn.Module):
    """Cosines between two views of 24 samples, times a factor that is learned."""

    def __init__(self, factor: float, how: str) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(10, 8), nn.Linear(10, 8)
        self.scale = nn.Parameter(torch.tensor(factor if how == "plain" else math.log(factor)))
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        left, right = F.normalize(self.left(x), dim=-1), F.normalize(self.right(x), dim=-1)
        if self.how == "inside":
            return self.scale.exp() * left @ right.T
        return left @ right.T * (self.scale if self.how == "plain" else self.scale.exp())


@pytest.mark.parametrize("how", ["plain", "inside", "outside"])
@pytest.mark.parametrize(("factor", "found"), [(0.07, True), (14.3, False), (1.0, False)])
def test_a_learned_factor_below_one_leaves_cosines_as_flat(how, factor, found) -> None:
    torch.manual_seed(0)
    batch = (torch.randn(24, 10), torch.arange(24))
    verdict = OutputLossPair().examine(trace(Towers(factor, how), batch, F.cross_entropy))
    assert isinstance(verdict, Found) is found
    if found:
        assert "are cosines times 0.07" in verdict.findings[0].message


class Tagger(nn.Module):
    """Scores for each step of a sequence, from a layer that is recorded as several steps."""

    def __init__(self, *, logarithms: bool) -> None:
        super().__init__()
        self.rnn, self.head = nn.GRU(5, 8, batch_first=True), nn.Linear(8, 4)
        self.logarithms = logarithms

    def forward(self, x: Tensor) -> Tensor:
        scores = self.head(self.rnn(x)[0])
        return scores.log_softmax(-1) if self.logarithms else scores


def steps_of_ctc(o: Tensor, t: Tensor) -> Tensor:
    lengths = torch.full((6,), 12), torch.full((6,), 3)
    return F.ctc_loss(o.transpose(0, 1), t[:, :3] + 1, *lengths)


@pytest.mark.parametrize("logarithms", [True, False])
@pytest.mark.parametrize(
    "loss", [lambda o, t: F.nll_loss(o.flatten(0, 1), t.flatten()), steps_of_ctc]
)
def test_raw_scores_of_every_step(loss, logarithms) -> None:
    torch.manual_seed(0)
    batch = torch.randn(6, 12, 5), torch.randint(0, 3, (6, 12))
    verdict = OutputLossPair().examine(trace(Tagger(logarithms=logarithms), batch, loss))
    assert isinstance(verdict, Found) is not logarithms
    if not logarithms:
        assert "raw scores" in verdict.findings[0].message
