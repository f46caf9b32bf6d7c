import torch
import torch.nn.functional as F
from torch import nn


class Res(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(c, c, 3, padding=1, bias=False), nn.Conv2d(c, c, 3, padding=1, bias=False)
        self.b1, self.b2 = nn.BatchNorm2d(c), nn.BatchNorm2d(c)

    def forward(self, x):
        return F.relu(x + self.b2(self.c2(F.relu(self.b1(self.c1(x))))))


class PolicyValueNet(nn.Module):
    def __init__(self, c=24, s=5):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), nn.ReLU())
        self.tower = nn.Sequential(Res(c), Res(c), Res(c))
        self.p = nn.Sequential(nn.Conv2d(c, 2, 1, bias=False), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(2 * s * s, s * s))
        self.v = nn.Sequential(nn.Conv2d(c, 1, 1, bias=False), nn.BatchNorm2d(1), nn.ReLU(), nn.Flatten(), nn.Linear(s * s, 32), nn.ReLU(), nn.Linear(32, 1), nn.Tanh())

    def forward(self, board):
        h = self.tower(self.stem(board))
        return self.p(h), self.v(h).squeeze(1)


def loss(output, target):
    logits, value = output
    pi, z = target
    return -(pi * F.log_softmax(logits, 1)).sum(1).mean() + F.mse_loss(value, z)


def batch(n=64, s=5):
    mine = (torch.rand(n, s, s) < 0.3).float()
    theirs = (torch.rand(n, s, s) < 0.3).float() * (1 - mine)
    board = torch.stack([mine, theirs], 1)
    weight = F.conv2d(mine[:, None], torch.ones(1, 1, 3, 3), padding=1).flatten(1)
    pi = torch.softmax(weight, 1)
    z = torch.sign(mine.sum((1, 2)) - theirs.sum((1, 2)))
    return board, (pi, z)


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
