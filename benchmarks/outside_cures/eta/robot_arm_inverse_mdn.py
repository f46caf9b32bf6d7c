# Inverse kinematics of a two-joint arm is multi-valued, so a plain regression averages the
# elbow-up and elbow-down solutions. Mixture density network (Bishop 1994) instead.
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

L1, L2 = 0.8, 0.5
K = 5


def arm(n, seed):
    g = torch.Generator().manual_seed(seed)
    q1 = 0.3 + 0.9 * torch.rand(n, generator=g)
    q2 = (0.4 + 1.8 * torch.rand(n, generator=g)) * (torch.randint(0, 2, (n,), generator=g) * 2 - 1)
    x = L1 * torch.cos(q1) + L2 * torch.cos(q1 + q2)
    y = L1 * torch.sin(q1) + L2 * torch.sin(q1 + q2)
    return torch.stack([x, y], 1), torch.stack([q1, q2], 1)


TIP, JOINTS = arm(5000, 0)


class MDN(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh())
        self.mix = nn.Linear(width, K)
        self.mean = nn.Linear(width, K * 2)
        self.log_std = nn.Linear(width, K * 2)

    def forward(self, tip):
        h = self.trunk(tip)
        return self.mix(h), self.mean(h).view(-1, K, 2), self.log_std(h).view(-1, K, 2).clamp(-4, 2)


def model():
    return MDN()


def data():
    while True:
        i = torch.randint(len(TIP), (128,))
        yield TIP[i], JOINTS[i]


def loss(out, q):
    mix, mean, log_std = out
    z = (q[:, None] - mean) * torch.exp(-log_std)
    comp = -(0.5 * z ** 2 + log_std + 0.5 * math.log(2 * math.pi)).sum(-1)
    return -torch.logsumexp(F.log_softmax(mix, -1) + comp, -1).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
