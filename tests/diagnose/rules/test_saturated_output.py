"""UV203: outputs that are sure and wrong, and outputs that are sure and right."""

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
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.rules.saturated_output import SaturatedOutput
from unvanish.testing import recording_of

examine = SaturatedOutput().examine


def output(stuck: float, decades: float, gain: float) -> Verdict:
    return examine(
        recording_of(
            "linear",
            "sigmoid",
            profiles={
                Quantity.STUCK_FRACTION: [None, stuck],
                Quantity.LOG10_STUCK_GRAD_RATIO: [None, -decades],
                Quantity.UNDECIDED_GAIN: [None, gain],
            },
        )
    )


@pytest.mark.parametrize(
    ("decades", "severity"),
    [(3.1, Severity.WARNING), (5.9, Severity.WARNING), (6.1, Severity.ERROR), (math.inf, "error")],
)
def test_severity_follows_the_lost_decades(decades: float, severity: Severity) -> None:
    verdict = output(0.9, decades, 0.2)
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    assert finding.severity == severity
    assert finding.causes[0] is Cause.LOSS_SATURATION
    assert finding.measured == decades


@pytest.mark.parametrize(
    ("stuck", "decades", "gain"), [(0.4, 9.0, 0.2), (0.9, 2.9, 0.2), (0.9, 9.0, -0.2)]
)
def test_all_three_conditions_have_to_hold(stuck: float, decades: float, gain: float) -> None:
    assert isinstance(output(stuck, decades, gain), Clear)


@pytest.mark.parametrize(("gain", "severity"), [(0.009, Severity.NOTE), (0.011, Severity.ERROR)])
def test_an_output_that_hardly_counts_is_a_note(gain: float, severity: Severity) -> None:
    verdict = output(0.9, 9.0, gain)
    assert isinstance(verdict, Found)
    assert verdict.findings[0].severity is severity


def answers(decades: float, worth: float, own: float | None, stuck: float = 0.2) -> Verdict:
    return examine(
        recording_of(
            "linear",
            "softmax",
            profiles={
                Quantity.STUCK_FRACTION: [None, stuck],
                Quantity.LOG10_ANSWER_GRAD_RATIO: [None, -decades],
                Quantity.ANSWER_WORTH: [None, worth],
                Quantity.OWN_ANSWER_FRACTION: [None, own],
            },
        )
    )


@pytest.mark.parametrize(
    ("decades", "worth", "own"), [(3.1, 1.9, 0.7), (3.1, -3.1, 1.0), (math.inf, -3.1, None)]
)
def test_answers_worth_no_more_than_a_guess(decades: float, worth: float, own: float) -> None:
    verdict = answers(decades, worth, own)
    assert isinstance(verdict, Found)
    assert verdict.findings[0].measured == decades
    assert "guess" in verdict.findings[0].notes[0]


@pytest.mark.parametrize(
    ("decades", "worth", "own"),
    [(2.9, -9.0, 0.2), (9.0, 2.1, 0.2), (9.0, -2.0, 1.0), (9.0, -2.0, None)],
    ids=["gradient", "worth", "own answers", "unknown answers"],
)
def test_right_or_untested_answers_are_left_alone(decades: float, worth: float, own: float) -> None:
    assert isinstance(answers(decades, worth, own), Clear)


def test_noise_about_the_own_answers_of_a_policy_says_nothing() -> None:
    def policy(worth: float) -> Verdict:
        return examine(
            recording_of(
                "linear",
                "softmax",
                profiles={
                    Quantity.STUCK_FRACTION: [None, 0.6],
                    Quantity.LOG10_STUCK_GRAD_RATIO: [None, -9.0],
                    Quantity.UNDECIDED_GAIN: [None, 1.0],
                    Quantity.ANSWER_WORTH: [None, worth],
                    Quantity.OWN_ANSWER_FRACTION: [None, 1.0],
                },
            )
        )

    assert isinstance(policy(-1.0), Clear)
    assert isinstance(policy(-4.0), Found)


def test_a_stuck_output_without_a_trial_is_not_measured() -> None:
    recording = recording_of("linear", "sigmoid", profiles={Quantity.STUCK_FRACTION: [None, 0.9]})
    assert isinstance(examine(recording), NotMeasured)
    assert isinstance(examine(recording_of("linear", "sigmoid")), NotMeasured)


def test_hidden_functions_and_raw_scores_do_not_concern_it() -> None:
    assert isinstance(examine(recording_of("linear", "sigmoid", "linear")), NotApplicable)


# --- real networks -------------------------------------------------------------------


def data(classes: int = 0) -> tuple[Tensor, Tensor]:
    x = torch.randn(128, 16, generator=torch.Generator().manual_seed(0))
    return x, x[:, :classes].argmax(1) if classes else (x[:, :1] > 0).float()


def network(outputs: int, *end: nn.Module, bias: float = 0.0) -> nn.Sequential:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, outputs), *end)
    nn.init.constant_(net[2].bias, bias)
    return net


def fitted(net: nn.Module, loss: Callable[..., Tensor], x: Tensor, y: Tensor) -> nn.Module:
    optimizer = torch.optim.Adam(net.parameters(), lr=0.03)
    for _ in range(600):
        optimizer.zero_grad()
        loss(net(x), y).backward()
        optimizer.step()
    return net


def found(net: nn.Module, batch: tuple[Tensor, Tensor], loss: Callable[..., Tensor]) -> Finding:
    verdict = checkup(net, batch, loss=loss, select=["UV203"]).diagnosis.verdicts["UV203"]
    assert isinstance(verdict, Found), verdict
    return verdict.findings[0]


def cleared(net: nn.Module, batch: tuple[Tensor, Tensor], loss: Callable[..., Tensor]) -> bool:
    verdict = checkup(net, batch, loss=loss, select=["UV203"]).diagnosis.verdicts["UV203"]
    return isinstance(verdict, Clear)


def test_a_sigmoid_under_squared_error_loses_what_its_slope_says() -> None:
    """At z = -10 the gradient is 4.5e-5, and 0.146 at z = -1/2: 3.5 decades."""
    x, _ = data()
    net = network(1, nn.Sigmoid(), bias=-10.0)
    nn.init.zeros_(net[2].weight)
    finding = found(net, (x, torch.ones(128, 1)), F.mse_loss)
    y, half = 1 / (1 + math.exp(10.0)), 1 / (1 + math.exp(0.5))
    exact = math.log10(half * (1 - half) ** 2 / (y * (1 - y) ** 2))
    assert finding.measured == pytest.approx(exact, abs=0.01)
    assert finding.causes[-1] is Cause.BIAS


def test_the_same_sigmoid_under_cross_entropy_is_healthy() -> None:
    x, _ = data()
    batch = x, torch.ones(128, 1)
    assert cleared(network(1, nn.Sigmoid(), bias=-10.0), batch, F.binary_cross_entropy)


def test_cross_entropy_of_a_rounded_probability_is_not() -> None:
    """sigmoid(30) is 1 in float32, and its slope there 0."""
    x, _ = data()
    net = network(1, nn.Sigmoid(), bias=30.0)
    assert found(net, (x, torch.zeros(128, 1)), F.binary_cross_entropy).measured == math.inf


def test_rare_positives_that_are_all_denied() -> None:
    x, y = data(10)
    net = network(10, nn.Sigmoid(), bias=-14.0)
    assert found(net, (x, F.one_hot(y, 10).float()), F.mse_loss).severity is Severity.WARNING


def test_a_generator_whose_critic_has_won() -> None:
    x, _ = data()
    batch = x, torch.zeros(128, 1)
    score = network(1, bias=-12.0)
    finding = found(score, batch, lambda o, _: torch.log(1 - torch.sigmoid(o) + 1e-8).mean())
    assert finding.sites[0].op == "sigmoid"
    assert any("generator" in line for line in finding.help)


@pytest.mark.parametrize("end", [nn.Tanh(), nn.Hardtanh()], ids=["tanh", "hardtanh"])
def test_a_policy_pinned_at_the_wrong_end(end: nn.Module) -> None:
    x, _ = data()
    net = network(2, end, bias=12.0)
    assert found(net, (x, torch.zeros(128, 2)), lambda a, _: (a - 0.1).square().mean())


def test_a_policy_pinned_at_the_right_end_is_healthy() -> None:
    x, _ = data()
    net = network(2, nn.Tanh(), bias=12.0)
    assert cleared(net, (x, torch.zeros(128, 2)), lambda a, _: -a.sum())


def test_a_softmax_that_always_names_one_class() -> None:
    x, y = data(4)
    net = network(4, nn.Softmax(1))
    with torch.no_grad():
        net[2].bias[0] = 20.0
    assert found(net, (x, F.one_hot(y, 4).float()), F.mse_loss).measured > 6.0


@pytest.mark.parametrize("wrong", [0, 4], ids=["right labels", "3 % wrong labels"])
@pytest.mark.parametrize("loss", [F.mse_loss, F.binary_cross_entropy], ids=["mse", "bce"])
def test_converged_networks_are_healthy(loss: Callable[..., Tensor], wrong: int) -> None:
    x, y = data()
    net = fitted(network(1, nn.Sigmoid()), loss, x, y)
    y[:wrong] = 1 - y[:wrong]
    assert cleared(net, (x, y), loss)


def test_a_weight_made_of_a_sure_output_is_healthy() -> None:
    """The focal loss: its other factor has the gradient that the sigmoid lacks."""

    def focal(scores: Tensor, y: Tensor) -> Tensor:
        p = torch.sigmoid(scores)
        miss = torch.where(y > 0, 1 - p, p)
        entropy = F.binary_cross_entropy_with_logits(scores, y, reduction="none")
        return (miss.square() * entropy).mean()

    x, y = data()
    net = fitted(network(1), focal, x, y)
    y[:4] = 1 - y[:4]
    assert cleared(net, (x, y), focal)


@pytest.mark.parametrize("summed", [False, True])
def test_a_router_that_is_sure_is_no_output(summed: bool) -> None:
    class Experts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.router = nn.Linear(8, 4)
            nn.init.normal_(self.router.weight, std=40.0)
            self.experts = nn.ModuleList(nn.Linear(8, 3) for _ in range(4))

        def forward(self, x: Tensor) -> Tensor:
            p = self.router(x).softmax(1)
            answers = torch.stack([expert(x) for expert in self.experts], 1)
            if summed:
                return (p[:, :, None] * answers).sum(1)
            return torch.bmm(p[:, None], answers).squeeze(1)

    torch.manual_seed(0)
    batch = (torch.randn(64, 8), torch.randn(64, 3) * 30)
    verdict = checkup(Experts(), batch, loss=F.mse_loss, select=["UV203"])
    assert isinstance(verdict.diagnosis.verdicts["UV203"], NotApplicable)


# --- policies, and losses that hide the error from the function -----------------------

CLASSES = 4
STATES, BEST = data(CLASSES)
ONE_HOT = F.one_hot(BEST, CLASSES).float()


class Policy(nn.Module):
    """Picks the right action, or one that has nothing to do with it, and is sure."""

    def __init__(self, *end: nn.Module, right: bool, scale: float = 1000.0) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.head = nn.Linear(16, CLASSES, bias=False)
        self.end = nn.Sequential(*end)
        with torch.no_grad():
            self.head.weight.zero_()
            place = 0 if right else CLASSES
            self.head.weight[:, place : place + CLASSES] = scale * torch.eye(CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.head(x))


def rollout(policy: nn.Module | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Actions, normalised advantages and old logarithms, of a policy or at random."""
    generator = torch.Generator().manual_seed(3)
    if policy is None:
        actions = torch.randint(0, CLASSES, BEST.shape, generator=generator)
        reward = (actions == BEST).float()
    else:
        actions = policy(STATES).argmax(1)
        reward = torch.randn(BEST.shape, generator=generator)
    advantage = (reward - reward.mean()) / reward.std()
    old = -math.log(CLASSES) if policy is None else 0.0
    return actions, advantage, torch.full(BEST.shape, old)


def ratio(log_prob: Tensor, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    return -((log_prob - batch[2]).exp() * batch[1]).mean()


def proximal(z: Tensor, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    return ratio(torch.distributions.Categorical(logits=z).log_prob(batch[0]), batch)


def proximal_of_probabilities(z: Tensor, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    return ratio(torch.distributions.Categorical(probs=z.softmax(1)).log_prob(batch[0]), batch)


def reinforce(z: Tensor, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    return -(torch.distributions.Categorical(logits=z).log_prob(batch[0]) * batch[1]).mean()


def independent(z: Tensor, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """One yes or no for each class."""
    said = batch[0] if batch[0].ndim == 2 else F.one_hot(batch[0], CLASSES).float()
    return ratio(torch.distributions.Bernoulli(logits=z).log_prob(said).mean(1), batch)


def dice(z: Tensor, target: Tensor) -> Tensor:
    p = z.softmax(1)
    return 1 - (2 * (p * target).sum(0) / (p.sum(0) + target.sum(0) + 1e-6)).mean()


def focal(z: Tensor, target: Tensor) -> Tensor:
    p = (z.softmax(1) * target).sum(1).clamp(min=1e-7)
    return -((1 - p).square() * p.log()).mean()


def absolute(z: Tensor, target: Tensor) -> Tensor:
    return F.l1_loss(z.softmax(1), target)


IDIOMS = pytest.mark.parametrize(
    ("loss", "target"),
    [
        (proximal, rollout()),
        (proximal_of_probabilities, rollout()),
        (independent, rollout()),
        (dice, ONE_HOT),
        (focal, ONE_HOT),
        (absolute, ONE_HOT),
    ],
    ids=["ratio", "ratio of probabilities", "independent", "dice", "focal", "absolute"],
)


@IDIOMS
def test_sure_answers_that_have_nothing_to_do_with_the_question(loss: Any, target: Any) -> None:
    finding = found(Policy(right=False), (STATES, target), loss)
    assert finding.measured > 6.0


@IDIOMS
def test_sure_answers_that_are_right(loss: Any, target: Any) -> None:
    verdict = checkup(Policy(right=True), (STATES, target), loss=loss, select=["UV203"])
    assert not isinstance(verdict.diagnosis.verdicts["UV203"], Found)


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("loss", [proximal, proximal_of_probabilities, reinforce, independent])
def test_a_policy_with_its_own_actions_alone_cannot_be_judged(loss: Any, right: bool) -> None:
    policy = Policy(right=right)
    actions, *rest = rollout(policy)
    if loss is independent:
        actions = (policy(STATES) > 0).float()
    batch = (STATES, (actions, *rest))
    verdict = checkup(policy, batch, loss=loss, select=["UV203"])
    assert not isinstance(verdict.diagnosis.verdicts["UV203"], Found)


def test_the_logarithm_of_a_dropped_action_brings_it_back() -> None:
    policy = Policy(right=False)
    verdict = checkup(policy, (STATES, rollout()), loss=reinforce, select=["UV203"])
    assert isinstance(verdict.diagnosis.verdicts["UV203"], Clear)


def test_a_minor_output_next_to_a_large_loss_is_a_note() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.boxes, self.rest = network(1, bias=-40.0), network(1)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return torch.sigmoid(self.boxes(x)), self.rest(x)

    def loss(outputs: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
        return F.mse_loss(outputs[0], target) + F.mse_loss(outputs[1], 100 * target)

    x, y = data()
    assert found(Two(), (x, y), loss).severity is Severity.NOTE
