import torch
import torch.nn as nn


class SumGRU(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(2, 32, batch_first=True)
        self.head = nn.Linear(32, 1)

    def forward(self, x):
        _, h = self.gru(x)
        return self.head(h.squeeze(0))


def batch():
    value = torch.randn(64, 15)
    mask = (torch.rand(64, 15) < 0.3).float()
    return torch.stack([value, mask], dim=2), (value * mask).sum(1, keepdim=True)


loss = nn.SmoothL1Loss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
