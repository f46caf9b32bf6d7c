"""The actor of a DDPG agent on states in millimetres.

Positions and velocities in the hundreds make the last layer's sums large, tanh turns nearly all
of them into full throttle one way or the other, and the gradient of the cost stops there. The
gradients of the weights look healthy, since the few states near zero carry all of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import HELD_OUT, best_push, cart_cost, cart_states

PATIENT = Patient(
    family="actor-critic",
    codes=("UV503",),
    cause=Cause.INPUT_SCALE,
    also=("UV203", "UV201", "UV101", "UV102", "UV404", "UV405", "UV502"),
    cure="states in units of their standard deviation",
    steps=300,
    variants={"hidden": (32, 128)},
    source="ZhihanLee/DDPG_Learning#2; floodsung/DDPG#6",
)
GOAL = 0.02
HIGHER_IS_BETTER = False


class Actor(nn.Module):
    """Map a state to an action between -1 and 1."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(2, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, 1)

    def forward(self, state: Tensor) -> Tensor:
        """Return the push for every state."""
        x = torch.relu(self.fc1(state))
        x = torch.relu(self.fc2(x))
        return torch.tanh(self.fc3(x))


class Scaled(nn.Module):
    """Divide every state variable by its standard deviation."""

    def __init__(self, actor: nn.Module) -> None:
        super().__init__()
        self.actor = actor
        self.register_buffer("scale", torch.tensor([500.0, 300.0]))

    def forward(self, state: Tensor) -> Tensor:
        """Return the push for every state."""
        push: Tensor = self.actor(state / self.scale)
        return push


def model(hidden: int = 64) -> nn.Module:
    """Build the actor."""
    return Actor(hidden)


def cured(hidden: int = 64) -> nn.Module:
    """Build the actor behind a normalisation of its states."""
    return Scaled(Actor(hidden))


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield states, and the same states for the critic."""
    return cart_states(seed)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the cost of the actions, as a perfect critic would know it."""
    return cart_cost(target, output).mean()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return how much dearer the actions are than the best ones, over 1000 states."""
    state, _ = next(cart_states(HELD_OUT, size=1000))
    return float((cart_cost(state, model(state)) - cart_cost(state, best_push(state))).mean())
