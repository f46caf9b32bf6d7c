# CleanRL-style agent, warm start from demonstrations + monte carlo returns
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def layer_init(layer, std=np.sqrt(2), bias_const=0.0):
    torch.nn.init.orthogonal_(layer.weight, std)
    torch.nn.init.constant_(layer.bias, bias_const)
    return layer


class Agent(nn.Module):
    def __init__(self, obs=6, act=4):
        super().__init__()
        self.critic = nn.Sequential(
            layer_init(nn.Linear(obs, 64)), nn.Tanh(), layer_init(nn.Linear(64, 64)), nn.Tanh(), layer_init(nn.Linear(64, 1), std=1.0)
        )
        self.actor = nn.Sequential(
            layer_init(nn.Linear(obs, 64)), nn.Tanh(), layer_init(nn.Linear(64, 64)), nn.Tanh(), layer_init(nn.Linear(64, act), std=0.01)
        )

    def forward(self, x):
        return self.actor(x), self.critic(x).squeeze(-1)


def batch(n=256):
    obs = torch.randn(n, 6)
    best = torch.stack([obs[:, 0] + obs[:, 1], obs[:, 2] - obs[:, 3], obs[:, 4] * obs[:, 5], -obs[:, 0]], 1)
    act = best.argmax(1)
    ret = best.max(1).values - 1.0
    return obs, torch.stack([act.float(), ret], 1)


def loss(out, target):
    logits, value = out
    pg = F.cross_entropy(logits, target[:, 0].long())
    ent = torch.distributions.Categorical(logits=logits).entropy().mean()
    return pg + 0.5 * F.mse_loss(value, target[:, 1]) - 0.01 * ent


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3, eps=1e-5)


CLIP_GRAD_NORM = 0.5
