import torch
from torch import nn


class DemandModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
        )

    def forward(self, x):
        return self.layers(x)


def make_frame(n=256):
    ts = 1.7e9 + torch.rand(n) * 86400
    temp = torch.randn(n)
    promo = (torch.rand(n) < 0.3).float()
    price = torch.rand(n) * 2 - 1
    hour = (ts - 1.7e9) / 3600
    demand = torch.sin(hour / 24 * 6.283) + 0.5 * temp + promo - price
    x = torch.stack([ts, temp, promo, price], dim=1)
    return x, demand.unsqueeze(1)


def batch():
    return make_frame()


criterion = nn.SmoothL1Loss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


if __name__ == "__main__":
    model = DemandModel()
    opt = optimizer(model)
    for step in range(5000):
        x, y = batch()
        loss = criterion(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 500 == 0:
            print(f"{step:5d} {loss.item():.4f}")
