"""The actor of a DDPG agent on states brought to unit scale, against a learnt critic.

The last layer starts small, so that the tanh starts in its middle. The critic was fitted before
and is not trained here; the gradient passes through it to the action.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import HELD_OUT, best_push, cart_cost, cart_states

PATIENT = Patient(
    family="actor-critic",
    steps=300,
    variants={"hidden": (32, 128)},
    source="Lillicrap and others (2016)",
)
GOAL = 0.05
HIGHER_IS_BETTER = False


class Agent(nn.Module):
    """An actor, and a critic that judges its actions."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.actor = nn.Sequential(
            nn.Linear(2, hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, 1), nn.Tanh(),
        )  # fmt: skip
        nn.init.uniform_(self.actor[4].weight, -3e-3, 3e-3)  # type: ignore[arg-type]
        self.critic = nn.Sequential(
            nn.Linear(3, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(),
            nn.Linear(hidden, 1),
        )  # fmt: skip

    def q_value(self, state: Tensor, action: Tensor) -> Tensor:
        """Return what the critic thinks of actions."""
        value: Tensor = self.critic(torch.cat([state, action], dim=1))
        return value

    def forward(self, state: Tensor) -> Tensor:
        """Return what the critic thinks of the actor's actions."""
        return self.q_value(state, self.actor(state))


def _normalised(state: Tensor) -> Tensor:
    return state / torch.tensor([500.0, 300.0])


def _fit_critic(agent: Agent) -> None:
    """Fit the critic to random actions, as the first episodes would."""
    optimizer = torch.optim.Adam(agent.critic.parameters(), lr=1e-2)
    for state, _ in cart_states(10**6, size=256, batches=300):
        action = torch.rand(256, 1) * 2 - 1
        target = -cart_cost(state, action).unsqueeze(1)
        optimizer.zero_grad()
        (agent.q_value(_normalised(state), action) - target).square().mean().backward()
        optimizer.step()
    agent.critic.requires_grad_(False)


def model(hidden: int = 64) -> nn.Module:
    """Build the agent and fit its critic."""
    agent = Agent(hidden)
    with torch.enable_grad():
        _fit_critic(agent)
    return agent


def data(seed: int = 0) -> Iterator[Tensor]:
    """Yield normalised states."""
    for state, _ in cart_states(seed):
        yield _normalised(state)


def loss(output: Tensor, _target: None) -> Tensor:
    """Ask for actions that the critic likes."""
    return -output.mean()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train the actor."""
    return torch.optim.Adam(model.actor.parameters(), lr=1e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return how much dearer the actions are than the best ones, over 1000 states."""
    state, _ = next(cart_states(HELD_OUT, size=1000))
    action = model.actor(_normalised(state))
    return float((cart_cost(state, action) - cart_cost(state, best_push(state))).mean())
