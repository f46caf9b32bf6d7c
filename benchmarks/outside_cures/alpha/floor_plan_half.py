"""Denoise 12x12 occupancy maps. Half precision because the robot's memory is tiny."""
import torch
import torch.nn as nn

SIDE = 12


def rooms(n, seed):
    g = torch.Generator().manual_seed(seed)
    grid = torch.zeros(n, 1, SIDE, SIDE)
    for i in range(n):
        for _ in range(2):
            r, c = torch.randint(0, SIDE - 4, (2,), generator=g).tolist()
            h, w = torch.randint(3, 6, (2,), generator=g).tolist()
            grid[i, 0, r : r + h, c : c + w] = 1
    noisy = grid + 0.7 * torch.randn(grid.shape, generator=g)
    return noisy.half(), grid.half()


noisy_train, clean_train = rooms(1200, seed=0)
noisy_val, clean_val = rooms(200, seed=1)


class Denoiser(nn.Module):
    def __init__(self, ch=12):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, ch, 3, padding=1), nn.ReLU(),
            nn.Conv2d(ch, ch, 3, padding=1), nn.ReLU(),
            nn.Conv2d(ch, 1, 3, padding=1),
        )

    def forward(self, x):
        return self.body(x)


def model():
    return Denoiser().half()


def data(seed=0):
    g = torch.Generator().manual_seed(seed)
    for idx in torch.randperm(len(noisy_train), generator=g).split(40):
        yield noisy_train[idx], clean_train[idx]


def loss(out, clean):
    return ((out - clean) ** 2).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)


def metric(model):
    """share of cells on the right side of one half"""
    model.eval()
    with torch.no_grad():
        right = (model(noisy_val) > 0.5) == (clean_val > 0.5)
    model.train()
    return right.float().mean().item()


GOAL = 0.88
HIGHER_IS_BETTER = True
