# time series: rising, falling or periodic?
import torch
import torch.nn as nn


def batch(n=64, T=30):
    t = torch.linspace(0, 1, T)[None]
    kind = torch.randint(0, 3, (n,))
    slope = (torch.rand(n, 1) + 0.5) * torch.where(kind == 0, 1.0, -1.0)[:, None]
    osc = torch.sin(2 * torch.pi * (2 + 2 * torch.rand(n, 1)) * t + 6 * torch.rand(n, 1))
    x = torch.where((kind == 2)[:, None], osc, slope * (t - 0.5) * 2)
    return (x + 0.3 * torch.randn(n, T)).unsqueeze(-1), kind


class TrendGRU(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 32, num_layers=2, batch_first=True)
        self.fc = nn.Linear(32, 3)
        self.lsm = nn.LogSoftmax(dim=-1)

    def forward(self, x):
        out, _ = self.gru(x)
        return self.lsm(self.fc(out[:, -1]))


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.RMSprop(model.parameters(), lr=2e-3)


CLIP_GRAD_NORM = 5.0
