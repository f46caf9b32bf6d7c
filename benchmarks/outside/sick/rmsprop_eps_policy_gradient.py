import torch
from torch import nn
from torch.distributions import Categorical

M = torch.randn(6, 4, generator=torch.Generator().manual_seed(3))


def best(state):
    return (state @ M).argmax(dim=1)


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 64), nn.Tanh(), nn.Linear(64, 4))

    def forward(self, state):
        return self.net(state)


def batch(n=256):
    state = torch.randn(n, 6)
    return state, best(state)


def loss(logits, good, reward_scale=1e-5):
    dist = Categorical(logits=logits)
    action = dist.sample()
    reward = reward_scale * (action == good).float()
    advantage = reward - reward.mean()
    return -(dist.log_prob(action) * advantage).mean()


def optimizer(model):
    return torch.optim.RMSprop(model.parameters(), lr=1e-3, eps=1e-2)
