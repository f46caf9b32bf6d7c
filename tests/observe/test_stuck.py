"""Outputs on the flat part of their function: which trials are made, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording
from unvanish.observe import trace


class Counted(nn.Module):
    """A linear layer and an end, which count their forward passes."""

    def __init__(self, end: Callable[[Tensor], Tensor], bias: float, features: int = 1) -> None:
        super().__init__()
        self.head = nn.Linear(8, features)
        nn.init.constant_(self.head.bias, bias)
        self.end = end
        self.passes: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        COUNT[0] += 1
        return self.end(self.head(x))


COUNT = [0]
X = torch.randn(32, 8, generator=torch.Generator().manual_seed(0))


def look(
    end: Callable[[Tensor], Tensor], bias: float, target: float, loss: Any = F.mse_loss
) -> tuple[Recording, int]:
    COUNT[0] = 0
    net = Counted(end, bias)
    recording = trace(net, (X, torch.full((32, 1), target)), loss, probe_steps=0)
    return recording, COUNT[0]


def only(recording: Recording, quantity: Quantity) -> float:
    (value,) = recording[quantity].values.values()
    return value


@pytest.mark.parametrize(
    ("bias", "target", "loss"),
    [(0.0, 1.0, F.mse_loss), (12.0, 1.0, F.mse_loss), (12.0, 1.0, F.binary_cross_entropy)],
    ids=["sloped", "right", "right under cross entropy"],
)
def test_healthy_outputs_cost_no_further_pass(bias: float, target: float, loss: Any) -> None:
    recording, passes = look(torch.sigmoid, bias, target, loss)
    assert passes == 1
    assert only(recording, Quantity.STUCK_FRACTION) == 0.0
    assert not len(recording[Quantity.LOG10_STUCK_GRAD_RATIO])


def test_a_network_without_such_an_output_costs_nothing() -> None:
    recording, passes = look(lambda z: z, 12.0, 1.0)
    assert passes == 1
    assert not len(recording[Quantity.STUCK_FRACTION])


@pytest.mark.parametrize(
    "end",
    [
        torch.sigmoid,
        lambda z: torch.tanh(z),
        lambda z: F.hardtanh(z, -2.0, 3.0),
        F.hardsigmoid,
        lambda z: torch.softmax(torch.cat([z, -z], 1), 1)[:, :1],
    ],
    ids=["sigmoid", "tanh", "hardtanh", "hardsigmoid", "softmax"],
)
def test_every_function_can_be_tried(end: Callable[[Tensor], Tensor]) -> None:
    recording, passes = look(end, -40.0, 1.0)
    assert passes > 1
    assert only(recording, Quantity.STUCK_FRACTION) == 1.0
    assert only(recording, Quantity.LOG10_STUCK_GRAD_RATIO) < -6.0
    assert only(recording, Quantity.UNDECIDED_GAIN) > 0.0


def test_the_right_one_of_several_calls_is_replaced() -> None:
    def end(z: Tensor) -> Tensor:
        with torch.no_grad():
            torch.sigmoid(z)
        half = torch.sigmoid(0.0 * z)
        return torch.sigmoid(z) + half - 0.5

    recording, _ = look(end, -40.0, 1.0)
    shares = recording[Quantity.STUCK_FRACTION].values
    assert sorted(shares.values()) == [0.0, 1.0]
    assert only(recording, Quantity.UNDECIDED_GAIN) > 0.0


def test_a_call_that_works_in_place_is_not_tried() -> None:
    recording, _ = look(lambda z: (z * 1.0).sigmoid_(), -40.0, 1.0)
    assert not len(recording[Quantity.LOG10_STUCK_GRAD_RATIO])


def test_masked_scores_stay_masked() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(8, 4)
            with torch.no_grad():
                self.head.bias[0] = 60.0

        def forward(self, x: Tensor) -> Tensor:
            mask = torch.tensor([False, False, False, True])
            return self.head(x).masked_fill(mask, float("-inf")).softmax(1)

    target = F.one_hot(torch.arange(32) % 2 + 1, 4).float()
    recording = trace(Masked(), (X, target), F.mse_loss, probe_steps=0)
    assert only(recording, Quantity.UNDECIDED_GAIN) > 0.0


def test_trials_leave_the_model_as_it_was() -> None:
    net = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4), nn.Linear(4, 1), nn.Sigmoid())
    nn.init.constant_(net[2].bias, -40.0)
    before = {name: t.clone() for name, t in net.state_dict().items()}
    state = torch.get_rng_state()
    recording = trace(net, (X, torch.ones(32, 1)), F.mse_loss, probe_steps=0)
    assert len(recording[Quantity.UNDECIDED_GAIN])
    assert torch.equal(torch.get_rng_state(), state)
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name])


def scores(decided: float) -> nn.Module:
    """Four scores, the first of them far above the others."""
    net = nn.Linear(8, 4)
    with torch.no_grad():
        net.bias[0] = decided
    return net


def by_softmax(z: Tensor, a: Tensor) -> Tensor:
    return F.log_softmax(z, 1).gather(1, a[:, None]).squeeze(1)


def by_categorical(z: Tensor, a: Tensor) -> Tensor:
    return torch.distributions.Categorical(logits=z).log_prob(a)


@pytest.mark.parametrize("log_prob", [by_softmax, by_categorical])
def test_a_policy_that_is_sure_of_what_costs_it(log_prob: Callable[..., Tensor]) -> None:
    actions = torch.zeros(32, dtype=torch.long)

    def loss(z: Tensor, advantage: Tensor) -> Tensor:
        return -(log_prob(z, actions) * advantage).mean()

    sure = trace(scores(40.0), (X, -torch.ones(32)), loss, probe_steps=0)
    assert only(sure, Quantity.STUCK_FRACTION) == 1.0
    assert only(sure, Quantity.LOG10_STUCK_GRAD_RATIO) < -6.0
    assert only(sure, Quantity.UNDECIDED_GAIN) > 0.0
    right = trace(scores(40.0), (X, torch.ones(32)), loss, probe_steps=0)
    assert only(right, Quantity.STUCK_FRACTION) == 0.0
    open_to_all = trace(scores(0.0), (X, -torch.ones(32)), loss, probe_steps=0)
    assert only(open_to_all, Quantity.STUCK_FRACTION) == 0.0


@pytest.mark.parametrize(
    "loss",
    [lambda z, t: F.logsigmoid(-z).mean(), lambda z, t: -F.softplus(z).mean()],  # noqa: ARG005
    ids=["logsigmoid", "softplus"],
)
def test_a_generator_judged_by_scores(loss: Any) -> None:
    """log(1 - D) with D = sigmoid(z) is flat where the critic has won."""
    recording, _ = look(lambda z: z * 1.0, -14.0, 0.0, loss)
    assert only(recording, Quantity.STUCK_FRACTION) == 1.0
    assert only(recording, Quantity.LOG10_STUCK_GRAD_RATIO) < -4.0


def test_the_few_entries_next_to_the_slope_do_not_speak_for_the_rest() -> None:
    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(8, 100)
            nn.init.constant_(self.head.bias, -40.0)
            with torch.no_grad():
                self.head.bias[:5] = -2.5

        def forward(self, x: Tensor) -> Tensor:
            return torch.sigmoid(self.head(x))

    recording = trace(Wide(), (X, torch.ones(32, 100)), F.mse_loss, probe_steps=0)
    assert only(recording, Quantity.LOG10_STUCK_GRAD_RATIO) < -6.0


def four(end: Callable[[Tensor], Tensor], answers: Tensor, loss: Any, target: Any) -> Recording:
    """Look at a network that is sure of one of four answers for each sample."""

    class Sure(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scores = nn.Parameter(400.0 * F.one_hot(answers, 4).float())

        def forward(self, x: Tensor) -> Tensor:
            return end(self.scores + 0.0 * x[:, :1])

    return trace(Sure(), (X, target), loss, probe_steps=0)


LABELS = torch.arange(32) % 4


@pytest.mark.parametrize("wrong", [0, 8, 32])
def test_the_own_answers_are_those_the_loss_asks_for(wrong: int) -> None:
    answers = LABELS.clone()
    answers[:wrong] = (answers[:wrong] + 1) % 4
    target = F.one_hot(LABELS, 4).float()

    def clamped(p: Tensor, t: Tensor) -> Tensor:
        return -(p * t).sum(1).clamp(1e-6, 1 - 1e-6).log().mean()

    recording = four(lambda z: z.softmax(1), answers, clamped, target)
    assert only(recording, Quantity.OWN_ANSWER_FRACTION) == pytest.approx(1 - wrong / 32, abs=0.05)
    assert (only(recording, Quantity.ANSWER_WORTH) > 3.0) == (wrong < 32)
    assert only(recording, Quantity.LOG10_ANSWER_GRAD_RATIO) < -6.0


def test_two_classes_of_equal_gradient_do_not_tell_which_is_meant() -> None:
    target = F.one_hot(LABELS % 2, 2).float()

    def loss(z: Tensor, t: Tensor) -> Tensor:
        return F.mse_loss(z[:, :2].softmax(1), t)

    recording = four(lambda z: z, (LABELS + 1) % 2, loss, target)
    assert not len(recording[Quantity.OWN_ANSWER_FRACTION])
    assert only(recording, Quantity.ANSWER_WORTH) < -3.0


def test_binary_cross_entropy_knows_its_targets_only_entry_by_entry() -> None:
    target = F.one_hot(LABELS, 4).float()

    def likelihood(z: Tensor, t: Tensor) -> Tensor:
        said = F.binary_cross_entropy_with_logits(z - 200.0, t, reduction="none")
        return -(-said.sum(1)).exp().mean()

    right = four(lambda z: z, LABELS, likelihood, target)
    assert only(right, Quantity.OWN_ANSWER_FRACTION) == 1.0
    wrong = four(lambda z: z, (LABELS + 1) % 4, likelihood, target)
    assert only(wrong, Quantity.OWN_ANSWER_FRACTION) < 1.0
    mean = four(lambda z: z - 200.0, LABELS, F.binary_cross_entropy_with_logits, target)
    assert not len(mean[Quantity.STUCK_FRACTION])
