# DQN update for a toy chain; the target net is a frozen copy (polyak averaged elsewhere)
import copy

import torch
import torch.nn as nn


class QNet(nn.Module):
    def __init__(self, s=4, a=3, h=64):
        super().__init__()
        self.feature = nn.Sequential(nn.Linear(s, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU())
        self.value = nn.Linear(h, 1)
        self.advantage = nn.Linear(h, a)

    def forward(self, s):
        f = self.feature(s)
        adv = self.advantage(f)
        return self.value(f) + adv - adv.mean(1, keepdim=True)


class DQN(nn.Module):
    def __init__(self, gamma=0.9):
        super().__init__()
        self.online = QNet()
        self.target = copy.deepcopy(self.online)
        for p in self.target.parameters():
            p.requires_grad = False
        self.gamma = gamma

    def forward(self, s, a, r, s2, done):
        q = self.online(s).gather(1, a[:, None]).squeeze(1)
        with torch.no_grad():
            best = self.online(s2).argmax(1, keepdim=True)
            y = r + self.gamma * (1 - done) * self.target(s2).gather(1, best).squeeze(1)
        return q, y


def batch(n=128):
    s = torch.randn(n, 4)
    a = torch.randint(3, (n,))
    r = (s.gather(1, a[:, None]).squeeze(1) > 0).float() - 0.3 * s[:, 3].abs()
    s2 = 0.8 * s + 0.6 * torch.randn(n, 4)
    done = (torch.rand(n) < 0.1).float()
    return (s, a, r, s2, done), r


def loss(output, _):
    q, y = output
    return nn.functional.smooth_l1_loss(q, y)


def model():
    return DQN()


def optimizer(model):
    return torch.optim.Adam(model.online.parameters(), lr=1e-3)
