"""A hypernetwork writes the weights of a small sine regressor from the task (amplitude, phase)."""

import torch
from torch import nn

H = 24
SHAPES = [(1, H), (H,), (H, H), (H,), (H, 1), (1,)]
SIZES = [torch.Size(s).numel() for s in SHAPES]


class Hyper(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.heads = nn.ModuleList(nn.Linear(width, n) for n in SIZES)
        for head, shape in zip(self.heads, SHAPES):
            fan_in = shape[0] if len(shape) == 2 else H
            nn.init.normal_(head.weight, std=0.3 / width**0.5)
            nn.init.normal_(head.bias, std=(2 / fan_in) ** 0.5 if len(shape) == 2 else 0.3)

    def forward(self, task, x):
        e = self.trunk(task)
        w1, b1, w2, b2, w3, b3 = (h(e).view(-1, *s) for h, s in zip(self.heads, SHAPES))
        y = torch.relu(torch.bmm(x, w1) + b1.unsqueeze(1))
        y = torch.relu(torch.bmm(y, w2) + b2.unsqueeze(1))
        return torch.bmm(y, w3) + b3.unsqueeze(1)


def model():
    return Hyper()


def batch(tasks=32, points=20):
    amp, phase = 0.5 + torch.rand(tasks, 1), 3.14 * torch.rand(tasks, 1)
    x = torch.rand(tasks, points, 1) * 4 - 2
    y = amp[..., None] * torch.sin(x * 1.5 + phase[..., None])
    task = torch.cat([(amp - 1) * 3.5, (phase - 1.57) * 1.1], 1)
    return (task, x), y


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
