"""REINFORCE with a baseline on a contextual bandit; the action is sampled."""

import torch
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(3)
PREF = torch.randn(8, 4)


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(8, 64)
        self.action_head = nn.Linear(64, 4)
        self.value_head = nn.Linear(64, 1)

    def forward(self, state):
        x = torch.relu(self.affine1(state))
        return Categorical(logits=self.action_head(x)), self.value_head(x).squeeze(-1)


class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.policy = Policy()

    def forward(self, state):
        dist, value = self.policy(state)
        action = dist.sample()
        reward = ((state @ PREF).argmax(1) == action).float()
        advantage = reward - value.detach()
        policy_loss = -(dist.log_prob(action) * advantage).mean()
        value_loss = nn.functional.smooth_l1_loss(value, reward)
        self.last_reward = reward.mean()
        return policy_loss + 0.5 * value_loss - 0.01 * dist.entropy().mean()


def model():
    return Agent()


def batch():
    return torch.randn(256, 8), torch.zeros(())


def loss(output, target):
    return output


def metric(model):
    with torch.no_grad():
        model(torch.randn(2000, 8))
    return model.last_reward.item()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
