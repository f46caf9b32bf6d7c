# monocular depth from 5x5 patches, trained with amp. depth in metres, everything within arm's length
import torch
import torch.nn as nn

AUTOCAST = "float16"


class PatchDepth(nn.Module):
    def __init__(self, h=48):
        super().__init__()
        self.enc = nn.Sequential(
            nn.Linear(25, h), nn.ReLU(),
            nn.Linear(h, h), nn.ReLU(),
            nn.Linear(h, h), nn.ReLU(),
        )
        self.head = nn.Linear(h, 1)

    def forward(self, patch):
        return 0.003 * self.head(self.enc(patch))


def batch(n=1024):
    a = torch.rand(n, 1, 1) * 2 - 1
    b = torch.rand(n, 1, 1) * 2 - 1
    u = torch.linspace(-1, 1, 5)
    patch = a * u.view(1, 5, 1) + b * u.view(1, 1, 5) + 0.05 * torch.randn(n, 5, 5)
    depth = 0.003 * (a ** 2 + a * b)
    return patch.flatten(1), depth.flatten(1)


def loss(pred, depth):
    return nn.functional.mse_loss(pred.float(), depth)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
