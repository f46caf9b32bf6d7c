"""DINO in small: student and EMA teacher, centred and sharpened teacher output, stop-gradient."""
import copy

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

IMG = torch.tensor(load_digits().data / 8 - 0.6, dtype=torch.float32)


def augment(x):
    keep = (torch.rand_like(x) > 0.15).float()
    return x * keep + 0.1 * torch.randn_like(x)


class Dino(nn.Module):
    def __init__(self, k=32):
        super().__init__()
        self.student = nn.Sequential(nn.Linear(64, 96), nn.GELU(), nn.Linear(96, 64), nn.GELU(), nn.Linear(64, k))
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.register_buffer("center", torch.zeros(k))

    def forward(self, a, b):
        with torch.no_grad():
            if self.training:
                for t, s in zip(self.teacher.parameters(), self.student.parameters()):
                    t.lerp_(s, 0.01)
            t = torch.cat([self.teacher(b), self.teacher(a)])
            target = F.softmax((t - self.center) / 0.04, dim=-1)
            if self.training:
                self.center.lerp_(t.mean(0), 0.1)
        logp = F.log_softmax(torch.cat([self.student(a), self.student(b)]) / 0.1, dim=-1)
        return -(target * logp).sum(-1)


def batch(n=128):
    x = IMG[torch.randint(0, len(IMG), (n,))]
    return (augment(x), augment(x)), torch.zeros(2 * n)


def loss(per_view, _):
    return per_view.mean()


def optimizer(m):
    return torch.optim.AdamW(m.student.parameters(), lr=1e-3)


if __name__ == "__main__":
    m = Dino()
    opt = optimizer(m)
    for i in range(400):
        v, _ = batch()
        l = loss(m(*v), None)
        opt.zero_grad()
        l.backward()
        opt.step()
        if i % 50 == 0:
            print(i, l.item())
