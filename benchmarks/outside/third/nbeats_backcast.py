import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, back, fore, width=48):
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(back, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.b = nn.Linear(width, back)
        self.f = nn.Linear(width, fore)

    def forward(self, x):
        h = self.fc(x)
        return self.b(h), self.f(h)


class NBeats(nn.Module):
    def __init__(self, back=30, fore=6, blocks=5):
        super().__init__()
        self.fore = fore
        self.blocks = nn.ModuleList(Block(back, fore) for _ in range(blocks - 1))
        self.last = Block(back, fore)
        self.last.b = None  # the last block has nobody to hand a backcast to

    def forward(self, x):
        total = torch.zeros(len(x), self.fore)
        for block in self.blocks:
            back, fore = block(x)
            x, total = x - back, total + fore
        return total + self.last.f(self.last.fc(x))


loss = nn.L1Loss()


def batch(n=128):
    t = torch.arange(36) + 100 * torch.rand(n, 1)
    s = torch.sin(0.5 * t) + 0.5 * torch.cos(0.21 * t) + 0.05 * torch.randn(n, 36)
    return s[:, :30], s[:, 30:]


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=1e-3)
