"""Which depot answers a call-out? Policy learnt off-line from logged decisions (inverse propensity scores)."""
import numpy as np
import torch
import torch.nn as nn

N_DEPOTS, N_FEATURES = 6, 16


def layer_init(layer, std=5.0, bias=0.0):
    nn.init.orthogonal_(layer.weight, std)
    nn.init.constant_(layer.bias, bias)
    return layer


def expected_reward(ctx):
    W = torch.tensor(np.random.RandomState(9).randn(N_FEATURES, N_DEPOTS), dtype=torch.float32)
    return torch.sigmoid(2.0 * (ctx @ W) / N_FEATURES**0.5 + 0.8 * torch.sin(2 * ctx[:, :N_DEPOTS]) - 1.0)


def log_of_decisions(n, seed):
    g = torch.Generator().manual_seed(seed)
    ctx = torch.randn(n, N_FEATURES, generator=g)
    action = torch.randint(N_DEPOTS, (n,), generator=g)  # the old system chose at random
    p = expected_reward(ctx).gather(1, action[:, None])[:, 0]
    reward = (torch.rand(n, generator=g) < p).float()
    return ctx, action, reward


CTX, ACTION, REWARD = log_of_decisions(8000, seed=3)


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.actor = nn.Sequential(
            layer_init(nn.Linear(N_FEATURES, 64)),
            nn.Tanh(),
            layer_init(nn.Linear(64, 64)),
            nn.Tanh(),
            layer_init(nn.Linear(64, N_DEPOTS)),
        )

    def forward(self, ctx):
        return torch.softmax(self.actor(ctx), dim=-1)


def model():
    return Policy()


def data():
    for i in torch.randperm(len(CTX)).split(160):
        yield CTX[i], torch.stack([ACTION[i].float(), REWARD[i]], 1)


def loss(probs, logged):
    action, reward = logged[:, 0].long(), logged[:, 1]
    p = probs.gather(1, action[:, None])[:, 0].clamp(min=1e-3)
    ips = reward * N_DEPOTS
    return -(ips * torch.log(p)).mean()


def optimizer(policy):
    return torch.optim.Adam(policy.parameters(), lr=2.5e-4, eps=1e-5)
