import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


class Hourglass(nn.Module):
    """Denoising without skips, to force a compact code."""

    def __init__(self, c=12, n=6):
        super().__init__()
        self.stem = nn.Conv2d(1, c, 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(c, c, 3, padding=1) for _ in range(n))
        self.up = nn.ModuleList(nn.Conv2d(c, c, 3, padding=1) for _ in range(n))
        self.out = nn.Conv2d(c, 1, 1)

    def forward(self, x):
        y = self.stem(x)
        for conv in self.down:
            y = torch.sigmoid(conv(y))
        y = F.interpolate(F.avg_pool2d(y, 2), scale_factor=2)
        for conv in self.up:
            y = torch.sigmoid(conv(y))
        return self.out(y)


pics = torch.tensor(load_digits().images / 16, dtype=torch.float32).unsqueeze(1)


def batch(n=32):
    clean = pics[torch.randint(0, len(pics), (n,))]
    return clean + 0.3 * torch.randn_like(clean), clean


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
