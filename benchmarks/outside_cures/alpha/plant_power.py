import torch
from torch import nn

AMBIENT = ("temperature [K]", "pressure [Pa]", "humidity [%]", "vacuum [Pa]")


def plant(n, seed):
    g = torch.Generator().manual_seed(seed)
    temp = 275 + 35 * torch.rand(n, generator=g)
    pressure = 101325 + 700 * torch.randn(n, generator=g)
    humidity = 25 + 75 * torch.rand(n, generator=g)
    vacuum = 2500 + 8000 * torch.rand(n, generator=g)
    watt = (
        4.9e8
        - 1.9e6 * (temp - 290)
        - 3e4 * (temp - 290) ** 2
        + 6e3 * (pressure - 101325)
        - 2e5 * (humidity - 60)
        - 3.5e3 * (vacuum - 6000)
        + 3e6 * torch.randn(n, generator=g)
    )
    return torch.stack([temp, pressure, humidity, vacuum], 1), watt.unsqueeze(1)


X, WATT = plant(2500, seed=4)


class PowerModel(nn.Module):
    """inputs and output in SI units"""

    def __init__(self):
        super().__init__()
        self.register_buffer("x0", X.mean(0))
        self.register_buffer("dx", X.std(0))
        self.core = nn.Sequential(
            nn.Linear(4, 50), nn.Tanh(), nn.Linear(50, 50), nn.Tanh(), nn.Linear(50, 1)
        )

    def forward(self, x):
        return 4.9e8 + 4e7 * self.core((x - self.x0) / self.dx)


def model():
    return PowerModel()


def data():
    for i in torch.randperm(len(X)).split(50):
        yield X[i], WATT[i]


criterion = nn.MSELoss()


def loss(watt, target):
    return criterion(watt, target)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
