# claim frequency by region: random Fourier features (fixed) and a linear layer, as a cheap kernel machine
import torch
from torch import nn

g = torch.Generator().manual_seed(4)
X = torch.rand(2600, 2, generator=g) * 1000          # coordinates in km, as they come
y = torch.sin(X[:, 0] / 130) * torch.cos(X[:, 1] / 170) + 0.3 * torch.sin((X[:, 0] + X[:, 1]) / 90)
y = (y + 0.1 * torch.randn(2600, generator=g))[:, None]


class FourierRegressor(nn.Module):
    def __init__(self, n=400, length=110.0):
        super().__init__()
        self.proj = nn.Linear(2, n)
        with torch.no_grad():
            self.proj.weight.normal_().div_(length)
            self.proj.bias.uniform_(0, 6.2832)
        for p in self.proj.parameters():
            p.requires_grad = False       # never trained, that is the trick
        self.head = nn.Linear(n, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x):
        return self.head(torch.cos(self.proj(x)))


def model():
    return FourierRegressor()


def data():
    for i in torch.randperm(2000).split(50):
        yield X[i], y[i]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=5e-3)
