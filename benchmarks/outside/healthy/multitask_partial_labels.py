"""Three heads, and an optimiser for the two that have labels this month.

The third head stays in the model (the checkpoint needs it) but is switched off.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn


class MultiTask(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU())
        self.digit = nn.Linear(64, 10)
        self.ink = nn.Linear(64, 1)
        self.writer = nn.Linear(64, 40)
        self.writer.requires_grad_(False)

    def forward(self, x, with_writer=False):
        h = self.shared(x)
        out = {"digit": self.digit(h), "ink": self.ink(h).squeeze(-1)}
        if with_writer:
            out["writer"] = self.writer(h)
        return out


def loss(output, target):
    digit, ink = target
    keep = ~torch.isnan(ink)
    return nn.functional.cross_entropy(output["digit"], digit) + nn.functional.mse_loss(
        output["ink"][keep], ink[keep]
    )


def batch(n=96):
    x, y = load_digits(return_X_y=True)
    i = torch.randint(0, 1797, (n,))
    x = torch.tensor(x, dtype=torch.float32)[i] / 16
    ink = (x.mean(1) - 0.305) / 0.04
    ink[torch.rand(n) < 0.4] = float("nan")
    return x, (torch.tensor(y)[i], ink)


def model():
    return MultiTask()


def optimizer(model):
    return torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-3)
