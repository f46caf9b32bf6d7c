# remaining-useful-life toy: four turbine channels exactly as the PLC logs them
import torch
from torch import nn


class RUL(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(4, 32, batch_first=True)
        self.reg = nn.Linear(32, 1)

    def forward(self, x):
        h, _ = self.gru(x)
        return self.reg(h[:, -1])


def batch(n=64, T=40):
    wear = torch.rand(n, 1)
    t = torch.linspace(0, 1, T)
    drift = wear * t
    rpm = 8800 + 400 * torch.randn(n, 1) + 150 * drift + 20 * torch.randn(n, T)
    temp = 640 + 25 * drift + 3 * torch.randn(n, T)
    pressure = 550 - 18 * drift + 2 * torch.randn(n, T)
    vibration = 47 + 4 * drift + 0.5 * torch.randn(n, T)
    return torch.stack([rpm, temp, pressure, vibration], -1), 2 * (1 - wear) - 1


loss = nn.MSELoss()


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=2e-3)


if __name__ == "__main__":
    m = RUL()
    o = optimizer(m)
    for k in range(400):
        x, y = batch()
        l = loss(m(x), y)
        o.zero_grad(); l.backward(); o.step()
    print("mse (variance of the target is 0.33):", l.item())
