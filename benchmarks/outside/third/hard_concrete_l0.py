"""L0 regularisation (Louizos et al. 2018): hard-concrete gates, clamped to [0, 1], so some pass no gradient."""
import math

import torch
from sklearn.datasets import load_digits
from torch import nn

D_ = load_digits()
XX = torch.tensor(D_.data / 8 - 0.6, dtype=torch.float32)
YY = torch.tensor(D_.target)
BETA, GAMMA, ZETA = 2 / 3, -0.1, 1.1


class L0Gate(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.log_alpha = nn.Parameter(0.01 * torch.randn(n) + 1.0)

    def forward(self, x):
        u = torch.rand(self.log_alpha.shape).clamp(1e-6, 1 - 1e-6)
        s = torch.sigmoid((u.log() - (1 - u).log() + self.log_alpha) / BETA)
        return x * (s * (ZETA - GAMMA) + GAMMA).clamp(0, 1)

    def penalty(self):
        return torch.sigmoid(self.log_alpha - BETA * math.log(-GAMMA / ZETA)).sum()


class SparseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate_in, self.gate_hid = L0Gate(64), L0Gate(128)
        self.fc1, self.fc2 = nn.Linear(64, 128), nn.Linear(128, 10)

    def forward(self, x):
        out = self.fc2(self.gate_hid(torch.relu(self.fc1(self.gate_in(x)))))
        return out, self.gate_in.penalty() + self.gate_hid.penalty()


def batch():
    i = torch.randint(0, len(XX), (100,))
    return XX[i], YY[i]


def loss(out, y):
    logits, l0 = out
    return nn.functional.cross_entropy(logits, y) + 2e-4 * l0


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=3e-3)


if __name__ == "__main__":
    m = SparseNet()
    opt = optimizer(m)
    for i in range(400):
        x, y = batch()
        l = loss(m(x), y)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
