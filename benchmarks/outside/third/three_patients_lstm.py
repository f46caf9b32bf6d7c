# ICU vital signs, 3 patients fit on the laptop GPU, so the batch is 3
import torch
from torch import nn


class Vitals(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(6, 32, batch_first=True)
        self.risk = nn.Linear(32, 1)

    def forward(self, x):
        h, _ = self.lstm(x)
        return self.risk(h.mean(1)).squeeze(-1)


def batch(n=3, T=48):
    sick = (torch.rand(n) < 0.5).float()
    x = torch.randn(n, T, 6)
    trend = torch.linspace(0, 1.5, T)
    x[..., 0] += sick[:, None] * trend
    x[..., 2] -= sick[:, None] * trend
    return x, sick


loss = nn.BCEWithLogitsLoss()


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=1e-3)


if __name__ == "__main__":
    net = Vitals()
    opt = optimizer(net)
    running = 0.7
    for i in range(600):
        x, y = batch()
        l = loss(net(x), y)
        opt.zero_grad()
        l.backward()
        opt.step()
        running = 0.98 * running + 0.02 * l.item()
    print(running)
