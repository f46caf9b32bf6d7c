"""An advantage actor-critic with one trunk and two heads, on a problem of eight actions.

The policy starts undecided (a last layer of 0.01) and an entropy bonus keeps it open. Three losses
of different size meet in the trunk, and the gradient is as noisy as policy gradients are.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from unvanish.zoo.data import clusters
from unvanish.zoo.patient import Patient

PATIENT = Patient(
    family="actor-critic",
    steps=400,
    variants={"hidden": (32, 128)},
    source="Mnih and others (2016)",
)
GOAL = 0.85
HIGHER_IS_BETTER = True
CLIP_GRAD_NORM = 0.5

ACTIONS = 8


class ActorCritic(nn.Module):
    """A shared trunk with a policy head and a value head."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Linear(16, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh()
        )
        self.policy = nn.Linear(hidden, ACTIONS)
        self.value = nn.Linear(hidden, 1)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                gain = 0.01 if module is self.policy else 1.0
                nn.init.orthogonal_(module.weight, gain=gain)
                nn.init.zeros_(module.bias)

    def forward(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return the actions' scores and the state's value."""
        h = self.trunk(state)
        return self.policy(h), self.value(h).squeeze(-1)


def model(hidden: int = 64) -> nn.Module:
    """Build the agent."""
    return ActorCritic(hidden)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield states, and the action each of them calls for."""
    for batch in range(50):
        yield clusters(128, 50 * seed + batch, classes=ACTIONS)


def loss(output: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
    """Act once in every state and learn from the reward."""
    scores, value = output
    policy = Categorical(logits=scores)
    action = policy.sample()
    reward = (action == target).float()
    advantage = (reward - value).detach()
    actor = -(policy.log_prob(action) * advantage).mean()
    critic = (reward - value).square().mean()
    return actor + 0.5 * critic - 0.01 * policy.entropy().mean()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=3e-3, eps=1e-5)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return how often the favourite action is the right one; chance is an eighth."""
    state, right = clusters(600, 10**9, classes=ACTIONS)
    scores, _ = model(state)
    return float((scores.argmax(dim=1) == right).float().mean())
