import torch
from torch import nn


class Actor(nn.Module):
    def __init__(self, n_states=3, n_actions=1):
        super().__init__()
        self.fc1 = nn.Linear(n_states, 64)
        self.fc2 = nn.Linear(64, 64)
        self.mu = nn.Linear(64, n_actions)

    def forward(self, state):
        x = torch.relu(self.fc1(state))
        x = torch.relu(self.fc2(x))
        return torch.tanh(self.mu(x))


class ActorCritic(nn.Module):
    """Deterministic policy gradient with a known critic: Q = -(pos + 5000 a - goal)^2."""

    def __init__(self):
        super().__init__()
        self.actor = Actor()

    def forward(self, state):
        action = self.actor(state).squeeze(-1)
        pos = state[:, 0]
        goal = state[:, 2]
        return -(((pos + 5000 * action - goal) / 5000) ** 2)


def batch(n=256):
    pos = torch.rand(n) * 20000 - 10000
    vel = torch.randn(n) * 2000
    goal = pos + torch.rand(n) * 6000 - 3000
    return torch.stack([pos, vel, goal], 1), torch.zeros(n)


def loss(q, _):
    return -q.mean()


def optimizer(model):
    return torch.optim.Adam(model.actor.parameters(), lr=1e-4)
