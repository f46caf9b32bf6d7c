"""Contextual bandit with full feedback: pick one of 5 ad slots for a visitor.

context: age (years), income (dollars / year), minutes on site, pages seen, hour of the day
reward:  what each slot would have paid for this visitor, known from a replay of the logs
"""
import torch
from torch import nn

N_SLOTS = 5


def simulate(n, seed):
    g = torch.Generator().manual_seed(seed)
    age = 18 + 60 * torch.rand(n, generator=g)
    income = 15_000 + 85_000 * torch.rand(n, generator=g)
    minutes = 40 * torch.rand(n, generator=g)
    pages = torch.randint(1, 30, (n,), generator=g).float()
    hour = torch.randint(0, 24, (n,), generator=g).float()
    context = torch.stack([age, income, minutes, pages, hour], 1)
    z = torch.stack([(age - 48) / 17, (income - 57_500) / 24_500, (minutes - 20) / 11.5, (pages - 15) / 8.4, (hour - 11.5) / 7], 1)
    taste = torch.tensor(
        [[1.0, -1.0, 0, 0, 0.5], [-1.0, 0.3, 1.0, 0, 0], [0, 1.2, -0.7, 0.4, 0], [0.3, 0, 0, -1.2, 0.8], [0, 0, 0.4, 0.9, -1.0]]
    )
    reward = torch.sigmoid(1.5 * z @ taste.T)
    reward = (reward + 0.1 * torch.randn(n, N_SLOTS, generator=g)).clamp(0, 1)
    return context, reward


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.Linear(5, 64)
        self.l2 = nn.Linear(64, 64)
        self.pi = nn.Linear(64, N_SLOTS)

    def forward(self, s):
        s = torch.tanh(self.l1(s))
        s = torch.tanh(self.l2(s))
        return torch.softmax(self.pi(s), dim=-1)


CONTEXT, REWARD = simulate(3000, seed=0)


def data():
    for i in torch.randperm(3000).split(100):
        yield CONTEXT[i], REWARD[i]


def loss(probs, reward):
    expected = (probs * reward).sum(-1)
    entropy = -(probs * torch.log(probs + 1e-8)).sum(-1)
    return -(expected + 0.01 * entropy).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


val_context, val_reward = simulate(500, seed=1)


def metric(policy):
    """mean reward of the greedy slot"""
    policy.eval()
    with torch.no_grad():
        pick = policy(val_context).argmax(-1)
    return val_reward.gather(1, pick[:, None]).mean().item()


HIGHER_IS_BETTER = True
