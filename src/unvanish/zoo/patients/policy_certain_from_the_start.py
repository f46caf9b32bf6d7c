"""A softmax policy whose last layer starts so large that it never explores.

The policy gradient is the reward times the gradient of log p(action). A policy that takes one
action with probability 1 in every state tries nothing else, and for the action that it does
take, the gradient of log p is zero. It is as sure after training as it was before.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from unvanish.core.findings import Cause
from unvanish.zoo.data import clusters
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="policy gradient",
    codes=("UV203",),
    cause=Cause.SOFTMAX_SATURATION,
    also=("UV101", "UV102", "UV401", "UV402", "UV405", "UV502"),
    cure="a small last layer, so that the policy starts undecided",
    steps=400,
    variants={"hidden": (32, 128)},
    source="Andrychowicz and others (2021) on the scale of the last policy layer",
)
GOAL = 0.9
HIGHER_IS_BETTER = True

ACTIONS = 8


class Policy(nn.Module):
    """Two tanh layers and one score for every action."""

    def __init__(self, hidden: int, last_gain: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(16, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh()
        )
        self.scores = nn.Linear(hidden, ACTIONS)
        nn.init.orthogonal_(self.scores.weight, gain=last_gain)
        nn.init.zeros_(self.scores.bias)

    def forward(self, state: Tensor) -> Tensor:
        """Return the scores of the actions."""
        scores: Tensor = self.scores(self.body(state))
        return scores


def model(hidden: int = 64) -> nn.Module:
    """Build the policy."""
    return Policy(hidden, last_gain=300.0)


def cured(hidden: int = 64) -> nn.Module:
    """Build the policy undecided."""
    return Policy(hidden, last_gain=0.01)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield states, and the action each of them calls for."""
    for batch in range(50):
        yield clusters(128, 50 * seed + batch, classes=ACTIONS)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Try one action in every state; REINFORCE with the mean reward as the baseline."""
    policy = Categorical(logits=output)
    action = policy.sample()
    reward = (action == target).float()
    return -(policy.log_prob(action) * (reward - reward.mean())).mean()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def metric(model: nn.Module) -> float:
    """Return how often the favourite action is the right one; chance is an eighth."""
    return accuracy(model, *clusters(600, 10**9, classes=ACTIONS))
